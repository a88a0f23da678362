package inbound

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/store"
)

// A customer's client also resends messages without a receipt in a new session: another
// ciphertext under the first one's stanza id. The archive repeats unencrypted messages. Such
// copies are dropped and confirmed like the first. The same id and text alone do not make a
// copy: some clients (Psi+) count ids from the same number each time they start, so "ok",
// typed first on three days, is three messages. A message is a copy only shortly after the
// first, or when the session with the device has just begun.

// copyTime is how far apart two copies may have been sent. Times from the archive are the
// server's; times of what arrived directly are ours.
const copyTime = 5 * time.Minute

// clocks is by how much our clock may have been set since the first copy was stored.
const clocks = time.Hour

// saying is what a customer says, as far as it serves to recognize a copy.
type saying struct {
	stanza  string             // id; empty for none
	mark    string             // id in the carrier's archive; empty when it is not known
	text    string             // empty for what was refused
	refused carrier.UnreadKind // empty for what was read
	time    time.Time          // when it was sent
	renewed bool               // the session with the device has just begun
}

// repeated says whether what a customer says is stored already.
func (v saying) repeated(tx *store.Tx, c store.Customer) (bool, error) {
	stanza := record.Limited(v.stanza)
	if stanza == "" {
		return false, nil
	}
	// This reads the message itself. A stored hash of the number, the id or the text would
	// outlive the message, in the store and in stolen copies of it.
	m, err := tx.ReceivedByCarrierID(c.ID, stanza, v.first())
	if record.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	body, err := record.ContentOf(m)
	if err != nil {
		return false, err
	}
	same := v.mark != "" && v.mark == body.Mark // it came twice
	return v.sameAs(body) && (same || v.renewed || v.near(body, m)), nil
}

// first is the earliest time at which the first copy may have been stored, zero for any: the lookup has less to do.
func (v saying) first() time.Time {
	if v.renewed || v.mark != "" {
		return time.Time{}
	}
	return v.time.Add(-copyTime - clocks)
}

// sameAs says whether a stored message, or the message that it is a part of, says the same.
func (v saying) sameAs(body record.Content) bool {
	switch {
	case v.refused != "" || body.Refused != "":
		return v.refused == body.Refused
	case body.Whole != "":
		return body.Whole == textHash(v.text)
	case body.Media != nil:
		return body.Media.URLHash == textHash(v.text)
	}
	return body.Text != "" && body.Text == v.text
}

// near says whether it was sent at about the same time as a stored message.
func (v saying) near(body record.Content, m store.Message) bool {
	at := body.At
	if at.IsZero() {
		at = m.Created // an earlier release wrote it, without a time
	}
	return v.time.Sub(at).Abs() < copyTime
}

// textHash identifies a text of which only parts are stored, or nothing.
func textHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawStdEncoding.EncodeToString(sum[:])
}

// valid replaces what is not UTF-8.
func valid(text string) string { return strings.ToValidUTF8(text, "\ufffd") }
