package cloudapi

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// MaxEncryptedBody is the largest body of messages_encrypted, in bytes: one of MaxBody, encrypted
// and in base64.
const MaxEncryptedBody = 2 * MaxBody

// encryptedContents is an answer that only the business can read.
type encryptedContents struct {
	Contents string `json:"encrypted_contents"`
}

// encryptedRequest has the parameters of a POST to messages_encrypted.
type encryptedRequest struct {
	MessagingProduct string `json:"messaging_product"`
	Contents         string `json:"encrypted_contents"`
}

// encryptedMessages serves POST /{phone-number-id}/messages_encrypted: what messages does, with
// request and answer encrypted. Errors are not, as in the hosted API.
func (a *API) encryptedMessages(w http.ResponseWriter, r *http.Request, _ string) (any, error) {
	if a.Encryption == nil {
		return nil, errInvalidParameter("Payload encryption is not enabled for this number: set spec.payloadEncryption in the BusinessRelay.")
	}
	body, err := readBodyUpTo(w, r, MaxEncryptedBody)
	if err != nil {
		return nil, err
	}
	var q encryptedRequest
	if err := decodeParams(r, body, &q); err != nil {
		return nil, err
	}
	if err := cmp.Or(checkProduct(q.MessagingProduct), required("encrypted_contents", q.Contents)); err != nil {
		return nil, err
	}
	plain, err := a.Encryption.Decrypt(q.Contents)
	switch {
	case err != nil:
		return nil, errInvalidValue(fmt.Sprintf("encrypted_contents %v.", err))
	case len(plain) > MaxBody:
		return nil, errTooLarge(MaxBody)
	}
	var inner request
	if !json.Valid(plain) {
		return nil, errInvalidParameter("What encrypted_contents holds is not a JSON object.")
	}
	if err := json.Unmarshal(plain, &inner); err != nil {
		return nil, errBody(err)
	}
	once, err := a.once(r, routeEncrypted, plain)
	if err != nil {
		return nil, err
	}
	answer, err := a.perform(r.Context(), &inner, once)
	if err != nil {
		return nil, err
	}
	return a.encrypted(answer)
}

// encrypted encrypts an answer. It never returns one in clear.
func (a *API) encrypted(answer any) (any, error) {
	plain, err := json.Marshal(answer)
	if err != nil {
		return nil, fmt.Errorf("encoding an answer: %w", err)
	}
	text, err := a.Encryption.Encrypt(plain)
	if err != nil {
		return nil, fmt.Errorf("encrypting an answer: %w", err)
	}
	return encryptedContents{text}, nil
}

const (
	enabled  = "enabled"
	disabled = "disabled"
)

// payloadEncryption is a setting of the number (developers.facebook.com, "Phone number settings").
type payloadEncryption struct {
	Status      string `json:"status"`
	ClientKey   string `json:"client_encryption_key,omitempty"` // only in requests: base64 of PEM
	Fingerprint string `json:"client_encryption_key_fingerprint,omitempty"`
	CloudKey    string `json:"cloud_encryption_key,omitempty"` // base64 of PEM
}

// numberSettings are the settings of the number that a relay has.
type numberSettings struct {
	PayloadEncryption *payloadEncryption `json:"payload_encryption"`
}

// settings serves GET /{phone-number-id}/settings.
func (a *API) settings(http.ResponseWriter, *http.Request, string) (any, error) {
	if a.Encryption == nil {
		return numberSettings{&payloadEncryption{Status: disabled}}, nil
	}
	return numberSettings{&payloadEncryption{
		Status: enabled, Fingerprint: a.Encryption.Fingerprint, CloudKey: base64.StdEncoding.EncodeToString([]byte(a.Encryption.RelayKey)),
	}}, nil
}

// configureSettings serves POST /{phone-number-id}/settings. The BusinessRelay decides: a client
// may only repeat its value.
func (a *API) configureSettings(w http.ResponseWriter, r *http.Request, _ string) (any, error) {
	var q numberSettings
	if err := readParams(w, r, &q); err != nil {
		return nil, err
	}
	if q.PayloadEncryption == nil {
		return nil, errMissing("payload_encryption")
	}
	var same bool
	switch q.PayloadEncryption.Status {
	case enabled:
		if q.PayloadEncryption.ClientKey == "" {
			return nil, errMissing("payload_encryption.client_encryption_key")
		}
		pem, err := base64.StdEncoding.DecodeString(strings.TrimSpace(q.PayloadEncryption.ClientKey))
		if err != nil {
			return nil, errInvalidValue("payload_encryption.client_encryption_key must be a public key in PEM, in base64.")
		}
		same = a.Encryption != nil && a.Encryption.IsKey(string(pem))
	case disabled:
		same = a.Encryption == nil
	default:
		return nil, errInvalidValue(`payload_encryption.status must be "enabled" or "disabled".`)
	}
	if !same {
		return nil, errDenied("Params payload_encryption.status and client_encryption_key: payload encryption is set in the BusinessRelay (spec.payloadEncryption).")
	}
	return success{true}, nil
}
