package vault

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
)

// Certificate asks Vault's PKI to sign a certificate request (whose private key stays with the
// caller) and returns the chain as PEM, leaf first, and the leaf. It checks that the leaf is for
// the request's key and names. The role in PKI has the same name as the relay's role. Vault
// signs only the tenant's own two names; more lead to ErrForeignContent.
func (c *Client) Certificate(ctx context.Context, csr *x509.CertificateRequest) (chain []byte, leaf *x509.Certificate, err error) {
	request := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr.Raw})
	answer, err := c.write(ctx, opCertificate, c.cfg.Vault.PKIMount+"/sign/"+c.cfg.Role, map[string]any{
		"csr":    string(request),
		"format": "pem",
	})
	if err != nil {
		return nil, nil, err
	}
	f := fields{op: opCertificate, data: answer}
	parts := []string{f.text("certificate", maxCertificate)}
	issuers, _ := answer["ca_chain"].([]any)
	for _, issuer := range issuers {
		if s, ok := issuer.(string); ok {
			parts = append(parts, s)
		}
	}
	if len(parts) == 1 {
		parts = append(parts, f.text("issuing_ca", maxCertificate))
	}
	if err := f.err(); err != nil {
		return nil, nil, err
	}
	for _, part := range parts {
		chain = append(append(chain, bytes.TrimSpace([]byte(part))...), '\n')
	}
	leaf, err = checkLeaf(chain, csr)
	if err != nil {
		return nil, nil, foreign(opCertificate, err.Error())
	}
	return chain, leaf, nil
}

const maxCertificate = 64 << 10

func checkLeaf(chain []byte, csr *x509.CertificateRequest) (*x509.Certificate, error) {
	block, _ := pem.Decode(chain)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("the answer holds no certificate")
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, errors.New("the answer holds no certificate that can be read")
	}
	asked, err := x509.MarshalPKIXPublicKey(csr.PublicKey)
	if err != nil || !bytes.Equal(asked, leaf.RawSubjectPublicKeyInfo) {
		return nil, errors.New("the certificate is for another key")
	}
	for _, name := range csr.DNSNames {
		if !slices.Contains(leaf.DNSNames, name) {
			return nil, errors.New("the certificate does not hold a required name")
		}
	}
	return leaf, nil
}
