package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
	"unicode/utf8"

	"github.com/relaykeep/relaykeep/api/contract"
)

// Some receivers bring the secret and the verify token by which they recognise the relay. They are
// read for each handshake and each delivery, and overwritten after it, so the relay never has ones
// that were changed. The HTTP request and the HMAC make copies that are not overwritten.

// Limits of a receiver's own credentials, in bytes.
const (
	minAppSecret     = 16
	maxOwnCredential = 256
)

// recheckEvery is how often the relay looks whether the receiver's own credentials changed.
const recheckEvery = 10 * time.Second

// CredentialsError says what is wrong with the receiver's own credentials. Nothing is sent without them.
type CredentialsError struct {
	Key     string // of the Secret
	Problem string
}

// Error implements error.
func (e *CredentialsError) Error() string { return e.Key + " " + e.Problem }

// ReadCredentials reads a receiver's own credentials from the files of a mounted Secret, both from the
// same version of it. The caller overwrites them with Clear. The error is a *CredentialsError.
func ReadCredentials(dir string) (Credentials, error) {
	const attempts = 3 // the kubelet may replace the files meanwhile
	for i := 1; ; i++ {
		version, err := filepath.EvalSymlinks(filepath.Join(dir, "..data"))
		if err != nil {
			version = dir // no kubelet mounted it
		}
		c, err := readVersion(version)
		if now, gone := filepath.EvalSymlinks(filepath.Join(dir, "..data")); err == nil || i == attempts || gone != nil || now == version {
			return c, err
		}
	}
}

// readVersion reads both files from a folder that does not change, but may go.
func readVersion(dir string) (c Credentials, err error) {
	if c.Secret, err = readCredential(dir, contract.AppSecretKey, minAppSecret); err == nil {
		c.VerifyToken, err = readCredential(dir, contract.VerifyTokenKey, 1)
	}
	if err != nil {
		c.Clear()
		return Credentials{}, err
	}
	return c, nil
}

func readCredential(dir, key string, atLeast int) ([]byte, error) {
	f, err := os.Open(filepath.Join(dir, key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &CredentialsError{key, "is missing"}
	}
	if err != nil {
		return nil, &CredentialsError{key, "cannot be read"}
	}
	defer func() { _ = f.Close() }()
	// One buffer of fixed size, so that growing it leaves no copies behind.
	data := make([]byte, maxOwnCredential+len("\r\n")+1)
	n, err := io.ReadFull(f, data)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		clear(data)
		return nil, &CredentialsError{key, "cannot be read"}
	}
	value, err := credential(key, data[:n], atLeast)
	if err != nil {
		clear(data)
	}
	return value, err
}

// credential checks what a file has and returns it without the line end that editors and shells add.
func credential(key string, data []byte, atLeast int) ([]byte, error) {
	value := bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r"))
	control := func(r rune) bool { return r < ' ' || r == 0x7f }
	switch {
	case len(value) == 0:
		return nil, &CredentialsError{key, "is empty"}
	case len(value) < atLeast:
		return nil, &CredentialsError{key, fmt.Sprintf("has fewer than %d characters", atLeast)}
	case len(value) > maxOwnCredential:
		return nil, &CredentialsError{key, fmt.Sprintf("has more than %d bytes", maxOwnCredential)}
	case !utf8.Valid(value), bytes.ContainsFunc(value, control):
		return nil, &CredentialsError{key, "is not one line of text"}
	}
	return value, nil
}

// Clear overwrites the credentials.
func (c Credentials) Clear() {
	clear(c.Secret)
	clear(c.VerifyToken)
}

// asOwn has something done with the receiver's own credentials.
func (d *Deliverer) asOwn(do func(Credentials) error) error {
	c, err := d.o.Receiver.Own()
	if err != nil {
		return err
	}
	defer c.Clear()
	return do(c)
}

// watch looks, until ctx ends or a probe is due, whether the receiver's own credentials are other ones than
// in the last handshake. If so, nothing is sent until the next one.
func (d *Deliverer) watch(ctx context.Context) error {
	var tick <-chan time.Time
	if d.o.Receiver.Own != nil {
		ticker := time.NewTicker(d.o.Recheck)
		defer ticker.Stop()
		tick = ticker.C
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-d.probe:
			return nil
		case <-tick:
			if d.changed() {
				return nil
			}
		}
	}
}

// changed says whether the receiver's own credentials changed since the last handshake, and stops deliveries
// if they did.
func (d *Deliverer) changed() bool {
	var now []byte
	_ = d.asOwn(func(c Credentials) error { now = d.mark(c); return nil })
	d.mu.Lock()
	defer d.mu.Unlock()
	if hmac.Equal(now, d.shown) {
		return false
	}
	d.verified = false
	return true
}

// mark is what remains of credentials, to notice that they changed: it is worth nothing without the key, which
// this process alone has.
func (d *Deliverer) mark(c Credentials) []byte {
	mac := hmac.New(sha256.New, d.markKey)
	_, _ = fmt.Fprintf(mac, "%d ", len(c.Secret))
	mac.Write(c.Secret)
	mac.Write(c.VerifyToken)
	return mac.Sum(nil)
}

func newMarkKey() []byte {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key)
	return key
}
