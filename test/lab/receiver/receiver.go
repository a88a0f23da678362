package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// maxBody is the largest webhook that the Cloud API sends, 3 MB.
const maxBody = 3 << 20

// signatureHeader carries "sha256=" and the hex HMAC-SHA256 of the raw body under
// the webhook secret.
const signatureHeader = "X-Hub-Signature-256"

// credentials are what a business knows of its relay; `kubectl relay credentials
// NAME -o json` prints them.
type credentials struct {
	VerifyToken   string `json:"verifyToken"`
	WebhookSecret string `json:"webhookSecret"`
}

// delivery is one line of what the receiver prints.
type delivery struct {
	Time time.Time `json:"time"`
	// Event is "handshake", "webhook" or "refused".
	Event string `json:"event"`
	// Reason says why something was refused.
	Reason string          `json:"reason,omitempty"`
	Body   json.RawMessage `json:"body,omitempty"`
}

// receiver answers the webhook of one business.
type receiver struct {
	credentialsFile string
	now             func() time.Time

	mu  sync.Mutex // guards the following fields
	out io.Writer
}

// ServeHTTP answers the handshake and takes webhooks.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	known, err := r.credentials()
	if err != nil {
		// The business has not fetched them yet: the relay will come again.
		r.refuse(w, http.StatusServiceUnavailable, "credentials are not there yet")
		return
	}
	switch req.Method {
	case http.MethodGet:
		r.handshake(w, req, known)
	case http.MethodPost:
		r.webhook(w, req, known)
	default:
		r.refuse(w, http.StatusMethodNotAllowed, "neither GET nor POST")
	}
}

// credentials reads the file at each request: they come into being after the
// receiver is started, and may be rotated while it runs.
func (r *receiver) credentials() (credentials, error) {
	data, err := os.ReadFile(r.credentialsFile)
	if err != nil {
		return credentials{}, fmt.Errorf("reading the credentials: %w", err)
	}
	var c credentials
	if err := json.Unmarshal(data, &c); err != nil {
		return credentials{}, fmt.Errorf("reading the credentials: %w", err)
	}
	if c.VerifyToken == "" || c.WebhookSecret == "" {
		return credentials{}, errors.New("reading the credentials: one of them is empty")
	}
	return c, nil
}

func (r *receiver) handshake(w http.ResponseWriter, req *http.Request, known credentials) {
	q := req.URL.Query()
	if q.Get("hub.mode") != "subscribe" || !hmac.Equal([]byte(q.Get("hub.verify_token")), []byte(known.VerifyToken)) {
		r.refuse(w, http.StatusForbidden, "handshake with another verify token")
		return
	}
	r.print(delivery{Event: "handshake"})
	w.Header().Set("Content-Type", "text/plain")
	_, _ = io.WriteString(w, q.Get("hub.challenge"))
}

func (r *receiver) webhook(w http.ResponseWriter, req *http.Request, known credentials) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxBody))
	if err != nil {
		r.refuse(w, http.StatusRequestEntityTooLarge, "webhook of more than 3 MB")
		return
	}
	if !signed(body, req.Header.Get(signatureHeader), known.WebhookSecret) {
		r.refuse(w, http.StatusUnauthorized, "webhook whose signature does not match")
		return
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, body); err != nil {
		r.refuse(w, http.StatusBadRequest, "webhook that is no JSON")
		return
	}
	r.print(delivery{Event: "webhook", Body: compact.Bytes()})
	w.WriteHeader(http.StatusOK)
}

// signed reports whether header is the signature of body under the secret.
func signed(body []byte, header, secret string) bool {
	text, ok := strings.CutPrefix(header, "sha256=")
	got, err := hex.DecodeString(text)
	if !ok || err != nil {
		return false
	}
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write(body)
	return hmac.Equal(got, mac.Sum(nil))
}

func (r *receiver) refuse(w http.ResponseWriter, code int, reason string) {
	r.print(delivery{Event: "refused", Reason: reason})
	http.Error(w, reason, code)
}

func (r *receiver) print(d delivery) {
	d.Time = r.now().UTC()
	line, err := json.Marshal(d)
	if err != nil {
		return // its fields always encode
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = r.out.Write(append(line, '\n'))
}
