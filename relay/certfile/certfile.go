// Package certfile gives TLS servers a certificate in files that others renew, without a restart. It must not know who
// renews them, nor whose they are.
package certfile

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// Recheck is how often the files are looked at, while there are handshakes.
const Recheck = 10 * time.Second

// Files is a certificate and its key, in PEM. It is safe for concurrent use.
type Files struct {
	certificate, key string
	now              func() time.Time

	mu      sync.Mutex // guards the following fields
	current *tls.Certificate
	stamp   time.Time // the certificate's file, when current was read
	checked time.Time
}

// New returns the certificate in these files, which it does not read yet. Only differences of now are used.
func New(certificate, key string, now func() time.Time) *Files {
	return &Files{certificate: certificate, key: key, now: now}
}

// Load reads the files, unless they were read and are as they were.
func (f *Files) Load() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.load()
}

func (f *Files) load() error {
	f.checked = f.now()
	info, err := os.Stat(f.certificate)
	if err != nil {
		return fmt.Errorf("looking at the certificate's file: %w", err)
	}
	if f.current != nil && info.ModTime().Equal(f.stamp) {
		return nil
	}
	c, err := tls.LoadX509KeyPair(f.certificate, f.key)
	if err != nil {
		return fmt.Errorf("reading the certificate's files: %w", err)
	}
	f.current, f.stamp = &c, info.ModTime()
	return nil
}

// errNone means that the files could never be read.
var errNone = errors.New("there is no certificate")

// Get is for tls.Config.GetCertificate. While the files are being replaced, or cannot be read, it returns the certificate
// that was read last.
func (f *Files) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now().Sub(f.checked) >= Recheck {
		_ = f.load()
	}
	if f.current == nil {
		return nil, errNone
	}
	return f.current, nil
}
