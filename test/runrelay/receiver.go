package main

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	tenants "github.com/relaykeep/relaykeep/relay/vault"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// maxBody is the largest webhook that the Cloud API sends, 3 MB.
const maxBody = 3 << 20

// receiver is the business's webhook: it answers the handshake and prints deliveries.
type receiver struct {
	// credentials reads what the relay signs with. The relay makes them at its start.
	credentials func(context.Context) (tenants.Access, error)
	out         io.Writer
}

// ServeHTTP implements http.Handler.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	known, err := r.credentials(req.Context())
	if err != nil {
		http.Error(w, "no credentials yet", http.StatusServiceUnavailable)
		return
	}
	if req.Method == http.MethodGet {
		q := req.URL.Query()
		if subtle.ConstantTimeCompare([]byte(q.Get("hub.verify_token")), []byte(known.VerifyToken)) == 0 {
			http.Error(w, "another verify token", http.StatusForbidden)
			return
		}
		_, _ = io.WriteString(w, q.Get("hub.challenge"))
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxBody))
	if err != nil {
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		return
	}
	signature := webhook.Sign(known.WebhookSecret, body)
	if subtle.ConstantTimeCompare([]byte(req.Header.Get(webhook.SignatureHeader)), []byte(signature)) == 0 {
		http.Error(w, "the signature does not match", http.StatusUnauthorized)
		return
	}
	var line bytes.Buffer
	if json.Compact(&line, body) != nil {
		http.Error(w, "not JSON", http.StatusBadRequest)
		return
	}
	fmt.Fprintf(r.out, "webhook: %s\n", line.Bytes())
}
