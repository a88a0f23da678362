package serve

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// renewRetry is how soon after a failed renewal the next is tried.
const renewRetry = time.Minute

// issuedCertificate is a certificate that Vault's PKI signs. Its key is made here
// and never leaves the process.
type issuedCertificate struct {
	names   []string
	sign    func(context.Context, *x509.CertificateRequest) ([]byte, *x509.Certificate, error)
	now     func() time.Time
	current atomic.Pointer[tls.Certificate]
}

func (c *issuedCertificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.current.Load(), nil
}

// renew gets a new certificate for a new key.
func (c *issuedCertificate) renew(ctx context.Context) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("making the endpoint's key: %w", err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: c.names}, key)
	if err != nil {
		return fmt.Errorf("requesting the endpoint's certificate: %w", err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return fmt.Errorf("requesting the endpoint's certificate: %w", err)
	}
	chain, leaf, err := c.sign(ctx, csr)
	if err != nil {
		return fmt.Errorf("getting the endpoint's certificate: %w", err)
	}
	issued := &tls.Certificate{PrivateKey: key, Leaf: leaf}
	if issued.Certificate, err = parseChain(chain); err != nil {
		return err
	}
	c.current.Store(issued)
	return nil
}

// renewal is when two thirds of a certificate's life are over.
func renewal(leaf *x509.Certificate) time.Time {
	return leaf.NotBefore.Add(leaf.NotAfter.Sub(leaf.NotBefore) * 2 / 3)
}

// keep renews the certificate in time until ctx ends. It reports failures only when the
// current certificate is about to expire.
func (c *issuedCertificate) keep(ctx context.Context, tell func(error)) {
	for {
		at := renewal(c.current.Load().Leaf)
		wait := max(at.Sub(c.now()), renewRetry)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if c.now().Before(at) {
			continue
		}
		if err := c.renew(ctx); ctx.Err() == nil {
			tell(err)
		}
	}
}

// parseChain decodes PEM certificates, the leaf first.
func parseChain(chain []byte) ([][]byte, error) {
	var out [][]byte
	for {
		var block *pem.Block
		if block, chain = pem.Decode(chain); block == nil {
			break
		}
		out = append(out, block.Bytes)
	}
	if len(out) == 0 {
		return nil, errors.New("reading the endpoint's certificate: there is none")
	}
	return out, nil
}
