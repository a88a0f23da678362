package webhook

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// CopiesTriedFor is for how long a processor's copy is tried: a processor that stays away must not fill the volume.
const CopiesTriedFor = 24 * time.Hour

// ForProcessor returns the credentials by which a processor recognises the relay. They are derived from the business's
// webhook secret, and rotate with it; who has them learns nothing about that secret, or another processor's.
func ForProcessor(name, webhookSecret string) (Credentials, error) {
	var c Credentials
	for use, to := range map[string]*[]byte{"secret": &c.Secret, "verify token": &c.VerifyToken} {
		key, err := hkdf.Key(sha256.New, []byte(webhookSecret), nil, "relaykeep processor "+use+" "+name, sha256.Size)
		if err != nil {
			return Credentials{}, fmt.Errorf("deriving a processor's credentials: %w", err)
		}
		*to = []byte(hex.EncodeToString(key))
		clear(key)
	}
	return c, nil
}
