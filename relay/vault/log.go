package vault

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"strings"
)

// logSuffix ends the name of the key that signs a relay's log, in the mount of the settings keys. No settings key's name ends
// like this: those end in "-relay".
const logSuffix = "-log"

// logKeyType is the type of that key.
const logKeyType = "ed25519"

func (c *Client) logKey() place {
	return place{SettingsMount(c.cfg.Vault.TransitMount), c.wrappingKey() + logSuffix}
}

// LogKey returns the public half of the key that signs the relay's log, and makes the key if there is none. Policies of
// earlier releases do not allow it: ErrDenied, which says nothing about the token.
func (c *Client) LogKey(ctx context.Context) (ed25519.PublicKey, error) {
	answer, err := c.writeOnce(ctx, opCreateKey, c.logKey().path("keys"), map[string]any{"type": logKeyType})
	if err != nil {
		return nil, err
	}
	versions, _ := answer["keys"].(map[string]any)
	first, _ := versions["1"].(map[string]any)
	f := fields{op: opCreateKey, data: first}
	key := f.base64("public_key", ed25519.PublicKeySize)
	if len(versions) != 1 || answer["type"] != logKeyType {
		f.fail("keys", "the one key that was made to sign the log: an admin has rotated it, which a log's key cannot be")
	}
	return key, f.err()
}

// SignLog signs with that key. It returns ErrDenied as LogKey does.
func (c *Client) SignLog(ctx context.Context, text []byte) (signature []byte, err error) {
	answer, err := c.writeOnce(ctx, opSign, c.logKey().path("sign"), map[string]any{"input": base64.StdEncoding.EncodeToString(text)})
	if err != nil {
		return nil, lostKey(err)
	}
	f := fields{op: opSign, data: answer}
	encoded, found := strings.CutPrefix(f.text("signature", 1024), "vault:v1:")
	signature, err = base64.StdEncoding.DecodeString(encoded)
	if !found || err != nil || len(signature) != ed25519.SignatureSize {
		f.fail("signature", "one by the key's first version")
	}
	return signature, f.err()
}
