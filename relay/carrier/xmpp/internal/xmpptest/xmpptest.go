// Package xmpptest holds what the tests of the XMPP carrier's packages share: numbers,
// stanzas and bundles of the carrier's own form. It must not know how they are read.
package xmpptest

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// Numbers of tests; the range is reserved for fiction.
const (
	Business = "+15550100001"
	Customer = "+15550100002"
	Third    = "+15550100003"
)

// Number parses a number of a test.
func Number(t testing.TB, s string) phone.Number {
	t.Helper()
	n, err := phone.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Envelope is one that can be told from others. To the carrier it is opaque.
func Envelope(n int) carrier.Envelope {
	return carrier.Envelope{
		Sender:  1234,
		Keys:    []carrier.Key{{Device: 77, PreKey: n%2 == 0, Data: fmt.Appendf(nil, "key %d", n)}},
		IV:      []byte("twelve bytes"),
		Payload: fmt.Appendf(nil, "payload %d", n),
	}
}

// Published is a bundle with n one-time pre-keys.
func Published(n int) carrier.Bundle {
	key := func(i int) []byte { return append([]byte{5}, bytes.Repeat([]byte{byte(i)}, 32)...) }
	b := carrier.Bundle{
		IdentityKey:  key(1),
		SignedPreKey: carrier.PreKey{ID: 7, Public: key(2)},
		Signature:    bytes.Repeat([]byte{9}, 64),
	}
	for i := range n {
		b.PreKeys = append(b.PreKeys, carrier.PreKey{ID: uint32(i + 1), Public: key(i)})
	}
	return b
}

const (
	// PeerJID is the address of a client of Customer's.
	PeerJID = Customer + "@relay.test/phone"
	// Enc is an envelope.
	Enc = `<encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='9'><key rid='7' prekey='true'>AAEC</key><iv>AAECAwQFBgcICQoL</iv></header><payload>AAE=</payload></encrypted>`
	// List is an event with a device list, with a format verb for the devices.
	List = `<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='eu.siacs.conversations.axolotl.devicelist'><item id='current'><list xmlns='eu.siacs.conversations.axolotl'>%s</list></item></items></event>`
)

// Stanzas are what parsers start from when they are fuzzed.
func Stanzas() []string {
	return []string{
		`<message from='` + PeerJID + `' id='1' type='chat'>` + Enc + `<request xmlns='urn:xmpp:receipts'/><markable xmlns='urn:xmpp:chat-markers:0'/><store xmlns='urn:xmpp:hints'/></message>`,
		`<message from='` + PeerJID + `' type='error' id='1'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>`,
		`<message from='` + PeerJID + `'><received xmlns='urn:xmpp:receipts' id='1'/><displayed xmlns='urn:xmpp:chat-markers:0' id='2'/></message>`,
		`<message from='` + PeerJID + `' id='2'><body>hi</body><delay xmlns='urn:xmpp:delay' from='relay.test' stamp='2026-01-02T03:04:05Z'/></message>`,
		`<message from='` + Customer + `@relay.test' type='headline'>` + fmt.Sprintf(List, `<device id='1'/><device id='2'/>`) + `</message>`,
		`<message from='` + PeerJID + `' id='3'>` + Enc + `<reply xmlns='urn:xmpp:reply:0' id='1'/><fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='0' end='8'/></fallback><replace xmlns='urn:xmpp:message-correct:0' id='2'/></message>`,
		`<message from='` + PeerJID + `' id='4'><reactions xmlns='urn:xmpp:reactions:0' id='1'><reaction>👍</reaction></reactions><retract xmlns='urn:xmpp:message-retract:1' id='2'/><apply-to xmlns='urn:xmpp:fasten:0' id='2'><retract xmlns='urn:xmpp:message-retract:0'/></apply-to></message>`,
		`<bundle xmlns='eu.siacs.conversations.axolotl'><signedPreKeyPublic signedPreKeyId='1'>AAE=</signedPreKeyPublic><signedPreKeySignature>AAE=</signedPreKeySignature><identityKey>AAE=</identityKey><prekeys><preKeyPublic preKeyId='1'>AAE=</preKeyPublic></prekeys></bundle>`,
		`<message from='relay.test' id='5'><report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:spam'><jid xmlns='urn:xmpp:jid:0'>` + Business + `@relay.test</jid><text>no</text></report></message>`,
	}
}

// Arrival is when a stanza of a test arrives.
func Arrival() time.Time { return time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC) }
