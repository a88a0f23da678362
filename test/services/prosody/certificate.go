package prosody

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const (
	caFile   = "ca.crt"
	certFile = "tls.crt"
	keyFile  = "tls.key"
)

// Certificate is what a server shows, all PEM.
type Certificate struct {
	Chain []byte // the server's certificate first; it names every domain
	Key   []byte
	CA    []byte // of the authority that signed it
}

// writeCertificate puts the server's certificate into dir and returns its
// authority's. One made earlier is used again, so that a client that trusts it
// still does after a restart.
func writeCertificate(dir string, o Options) ([]byte, error) {
	c := o.TLS
	if c == nil {
		ca, err := os.ReadFile(filepath.Join(dir, caFile))
		if err == nil {
			return ca, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("reading the authority: %w", err)
		}
		if c, err = NewCertificate(o.Domains, o.ip()); err != nil {
			return nil, err
		}
	}
	for name, content := range map[string][]byte{certFile: c.Chain, keyFile: c.Key, caFile: c.CA} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return nil, fmt.Errorf("writing %s: %w", name, err)
		}
	}
	return c.CA, nil
}

// NewCertificate makes an authority, valid for a day, that signs one certificate
// for all of the domains, the loopback address and further ones, and is then forgotten.
func NewCertificate(domains []string, further ...net.IP) (*Certificate, error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the authority's key: %w", err)
	}
	ca := unsigned("Prosody test authority")
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return nil, fmt.Errorf("making the authority: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the server's key: %w", err)
	}
	leaf := unsigned(domains[0])
	leaf.DNSNames = domains
	leaf.IPAddresses = append([]net.IP{net.IPv4(127, 0, 0, 1)}, further...) // of the web server for files
	leaf.KeyUsage = x509.KeyUsageDigitalSignature
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	if err != nil {
		return nil, fmt.Errorf("making the server's certificate: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding the server's key: %w", err)
	}
	return &Certificate{
		Chain: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leafDER}),
		Key:   pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
		CA:    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}),
	}, nil
}

func unsigned(name string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62)) // crypto/rand does not fail
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
	}
}
