package main

import (
	"bytes"
	"encoding/pem"
	"fmt"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// rootsPath is where Go's crypto/x509 looks first on Linux.
const rootsPath = "/etc/ssl/certs/ca-certificates.crt"

// rootsPEM renders Mozilla's certificate authorities, from a pinned module rather
// than from the machine that builds. An authority that Mozilla trusts only with a
// constraint (such as for certificates from before a date) is left out: a PEM
// file cannot say the constraint.
func rootsPEM() ([]byte, error) {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint != nil {
			continue
		}
		if err := pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}); err != nil {
			return nil, fmt.Errorf("rendering the certificate authorities: %w", err)
		}
	}
	return out.Bytes(), nil
}
