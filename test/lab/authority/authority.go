// Package authority is the lab's own certificate authority, kept in a folder: the
// servers of the lab prove themselves with its certificates, and a DataRegion's or
// a webhook's caBundle names it. It must not know who the servers are.
package authority

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Lifetimes: a lab is not kept for long, and a certificate with less than a day
// left is made again.
const (
	authorityLife = 90 * 24 * time.Hour
	leafLife      = 30 * 24 * time.Hour
	spare         = 24 * time.Hour
)

// Authority signs servers' certificates.
type Authority struct {
	dir  string
	cert *x509.Certificate
	key  crypto.Signer
}

// Pair names the files of a certificate and of its key, both PEM.
type Pair struct{ Cert, Key string }

// Open reads the authority that is kept in dir, or makes one there.
func Open(dir string) (*Authority, error) {
	a := &Authority{dir: dir}
	pair := a.pair("ca")
	cert, key, err := readPair(pair)
	if err == nil && time.Until(cert.NotAfter) > leafLife {
		a.cert, a.key = cert, key
		return a, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("opening the lab's certificate authority: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the lab's certificate authority: %w", err)
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "Relaykeep lab"}, NotAfter: time.Now().Add(authorityLife),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	if a.cert, a.key, err = a.issue(pair, template); err != nil {
		return nil, fmt.Errorf("making the lab's certificate authority: %w", err)
	}
	return a, nil
}

// File returns the name of the file with the authority's certificate, PEM.
func (a *Authority) File() string { return a.pair("ca").Cert }

// PEM returns the authority's certificate.
func (a *Authority) PEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}))
}

// Server returns a server's certificate and key for the hosts, which are DNS names
// or IP addresses. The one that is kept under the name serves as long as it is for
// the same hosts and valid for a day.
func (a *Authority) Server(name string, hosts ...string) (Pair, error) {
	pair := a.pair(name)
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(leafLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	if kept, _, err := readPair(pair); err == nil && a.serves(kept, template) {
		return pair, nil
	}
	if _, _, err := a.issue(pair, template); err != nil {
		return Pair{}, fmt.Errorf("issuing the certificate of %s: %w", name, err)
	}
	return pair, nil
}

func (a *Authority) pair(name string) Pair {
	return Pair{Cert: filepath.Join(a.dir, name+".crt"), Key: filepath.Join(a.dir, name+".key")}
}

func (a *Authority) serves(kept, want *x509.Certificate) bool {
	sameIPs := slices.EqualFunc(kept.IPAddresses, want.IPAddresses, net.IP.Equal)
	return kept.CheckSignatureFrom(a.cert) == nil && time.Until(kept.NotAfter) > spare &&
		slices.Equal(kept.DNSNames, want.DNSNames) && sameIPs
}

// issue signs template with the authority's key, or with its own when there is no
// authority yet, and writes both files.
func (a *Authority) issue(pair Pair, template *x509.Certificate) (*x509.Certificate, crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return nil, nil, err
	}
	template.NotBefore = time.Now().Add(-time.Hour) // clocks differ
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, nil, err
	}
	if err := writePair(pair, der, key); err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return cert, key, err
}

func writePair(pair Pair, der []byte, key *ecdsa.PrivateKey) error {
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	var cert, secret bytes.Buffer
	if err := pem.Encode(&cert, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
		return err
	}
	if err := pem.Encode(&secret, &pem.Block{Type: "PRIVATE KEY", Bytes: private}); err != nil {
		return err
	}
	if err := os.WriteFile(pair.Key, secret.Bytes(), 0o600); err != nil {
		return err
	}
	return os.WriteFile(pair.Cert, cert.Bytes(), 0o644)
}

func readPair(pair Pair) (*x509.Certificate, crypto.Signer, error) {
	der, err := readPEM(pair.Cert)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, fmt.Errorf("reading %s: %w", pair.Cert, err)
	}
	if der, err = readPEM(pair.Key); err != nil {
		return nil, nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, nil, fmt.Errorf("reading %s: %w", pair.Key, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, nil, fmt.Errorf("reading %s: no key that signs", pair.Key)
	}
	return cert, signer, nil
}

func readPEM(name string) ([]byte, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("reading %s: no PEM", name)
	}
	return block.Bytes, nil
}
