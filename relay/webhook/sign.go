package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
)

// SignatureHeader carries the signature of a delivery.
const SignatureHeader = "X-Hub-Signature-256"

// Sign returns the value of SignatureHeader for a body: an HMAC-SHA256 over exactly
// the bytes that are sent, keyed with the webhook secret.
func Sign[S ~string | ~[]byte](secret S, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}
