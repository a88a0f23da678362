package message

import (
	"crypto/sha256"
	"encoding/base64"

	"github.com/relaykeep/relaykeep/relay/store"
)

// A customer's client, too, sends again what it has no receipt for when a session began
// anew (see resend.go): another ciphertext under the stanza id of the first. It is
// dropped, and confirmed like the first.

// repeated says whether what a customer says is stored already, under the same stanza
// id. An id alone does not tell: some clients count them anew after each start.
func repeated(tx *store.Tx, c store.Customer, stanza, text string) (bool, error) {
	if stanza = limited(stanza); stanza == "" {
		return false, nil
	}
	// The message itself is asked for, and no hash of the number, the id or the text is
	// kept: one would outlive the message, in the store and in stolen copies of it.
	m, err := tx.MessageByCarrierID(store.Inbound, stanza)
	if isNotFound(err) || err == nil && m.Customer != c.ID {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	body, err := contentOf(m)
	if err != nil {
		return false, err
	}
	if body.Media != nil {
		return body.Media.Link == linkHash(text), nil
	}
	return m.Type != typeUnsupported && body.Text == text, nil
}

// linkHash is by what a link to a file is known when it is not kept any more.
func linkHash(link string) string {
	sum := sha256.Sum256([]byte(link))
	return base64.RawStdEncoding.EncodeToString(sum[:])
}
