package omemo_test

import (
	"crypto/aes"
	"crypto/cipher"
	"slices"
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/signal"
)

// signalKey encrypts a content key of any length for a device, as a client other
// than ours may.
func signalKey(t *testing.T, from, to *device, content []byte) carrier.Key {
	t.Helper()
	record, err := from.mem.Record(to.number, to.account.Device, carrier.Legacy)
	check(t, err)
	c, next, err := signal.Encrypt(record, from.account.Local, content)
	check(t, err)
	check(t, from.mem.PutRecord(to.number, to.account.Device, carrier.Legacy, next))
	return carrier.Key{Device: to.account.Device, PreKey: c.PreKey, Data: c.Data}
}

// oldEnvelope seals a text as clients did, written down here from the XEP's
// versions and not from this package.
func oldEnvelope(t *testing.T, from, to *device, text string, tagInPayload bool, ivSize int) carrier.Message {
	t.Helper()
	key, iv := []byte("0123456789abcdef"), []byte("ivivivivivivivivi")[:ivSize]
	block, err := aes.NewCipher(key)
	check(t, err)
	gcm, err := cipher.NewGCMWithNonceSize(block, ivSize)
	check(t, err)
	payload := gcm.Seal(nil, iv, []byte(text), nil)
	content := key
	if !tagInPayload {
		content = slices.Concat(key, payload[len(text):])
		payload = payload[:len(text)]
	}
	e := carrier.Envelope{Sender: from.account.Device, IV: iv, Payload: payload, Keys: []carrier.Key{signalKey(t, from, to, content)}}
	return carrier.Message{From: from.number, Envelope: e}
}
