package certfile_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/certfile"
)

// renew writes a new certificate and its key, as of some time.
func renew(t *testing.T, certificate, key string, serial int64, at time.Time) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	check(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	check(t, err)
	for path, block := range map[string]*pem.Block{certificate: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		check(t, os.WriteFile(path, pem.EncodeToMemory(block), 0o600))
		check(t, os.Chtimes(path, time.Time{}, at))
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestFiles_RenewedAreUsedAndBrokenOnesAreNot(t *testing.T) {
	dir := t.TempDir()
	certificate, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	now := time.Now()
	f := certfile.New(certificate, key, func() time.Time { return now })
	if err := f.Load(); err == nil {
		t.Error("files that are not there were read")
	}
	if c, err := f.Get(nil); err == nil {
		t.Errorf("a certificate without files: %v", c)
	}
	serial := func() int64 {
		c, err := f.Get(nil)
		check(t, err)
		parsed, err := x509.ParseCertificate(c.Certificate[0])
		check(t, err)
		return parsed.SerialNumber.Int64()
	}
	renew(t, certificate, key, 1, now)
	check(t, f.Load())
	renew(t, certificate, key, 2, now.Add(time.Second))
	if got := serial(); got != 1 {
		t.Errorf("before it looks again: certificate %d", got)
	}
	now = now.Add(certfile.Recheck)
	if got := serial(); got != 2 {
		t.Errorf("renewed: certificate %d", got)
	}
	check(t, os.WriteFile(certificate, bytes.Repeat([]byte("x"), 100), 0o600))
	check(t, os.Chtimes(certificate, time.Time{}, now.Add(time.Minute)))
	now = now.Add(certfile.Recheck)
	if got := serial(); got != 2 {
		t.Errorf("with files that are being replaced: certificate %d", got)
	}
	if err := f.Load(); err == nil {
		t.Error("a broken file was read")
	}
}
