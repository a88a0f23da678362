package stanza

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/xmpptest"
)

// The forms in which clients build sessions and name devices, written here by hand.

const (
	aKey   = "AAE="             // stands for a Signal message
	aVec   = "AAECAwQFBgcICQoL" // 12 bytes
	longIV = "AAECAwQFBgcICQoLDA0ODw=="
)

func TestKeyTransports_InEveryForm(t *testing.T) {
	peer := xmpptest.Number(t, xmpptest.Customer)
	tests := map[string]struct {
		text string
		id   string
		keys []carrier.Key
		iv   int
	}{
		// Without hints; the Signal message holds 16 bytes, the key without a tag.
		"Gajim": {
			"<message from='JID' type='chat' id='1'><encrypted xmlns='NS'><header sid='9'><key rid='7' prekey='true'>KEY</key><iv>IV</iv></header></encrypted></message>",
			"1",
			[]carrier.Key{{Device: 7, PreKey: true, Data: []byte{0, 1}}},
			12,
		},
		"without an id": {
			"<message from='JID' type='chat'><encrypted xmlns='NS'><header sid='9'><key rid='7' prekey='true'>KEY</key><iv>IV</iv></header></encrypted></message>",
			"",
			[]carrier.Key{{Device: 7, PreKey: true, Data: []byte{0, 1}}},
			12,
		},
		// With a hint, so that it is kept, and with keys for several devices.
		"Conversations": {
			"<message from='JID' type='chat' id='1'><encrypted xmlns='NS'><header sid='9'><key rid='7'>KEY</key><key rid='8' prekey='true'>KEY</key><iv>IV</iv></header></encrypted><store xmlns='urn:xmpp:hints'/></message>",
			"1",
			[]carrier.Key{{Device: 7, Data: []byte{0, 1}}, {Device: 8, PreKey: true, Data: []byte{0, 1}}},
			12,
		},
		// With the name of the encryption, and a hint against copies.
		"named encryption": {
			"<message from='JID' type='chat' id='1'><encrypted xmlns='NS'><header sid='9'><key rid='7'>KEY</key><iv>IV</iv></header></encrypted><encryption xmlns='urn:xmpp:eme:0' namespace='NS'/><no-copy xmlns='urn:xmpp:hints'/></message>",
			"1",
			[]carrier.Key{{Device: 7, Data: []byte{0, 1}}},
			12,
		},
		"prekey='false' for a session that is complete": {
			"<message from='JID' type='chat' id='1'><encrypted xmlns='NS'><header sid='9'><key rid='7' prekey='false'>KEY</key><iv>IV</iv></header></encrypted><store xmlns='urn:xmpp:hints'/></message>",
			"1",
			[]carrier.Key{{Device: 7, Data: []byte{0, 1}}},
			12,
		},
		"prekey='1', and a vector of 16 bytes": {
			"<message from='JID' type='chat' id='1'><encrypted xmlns='NS'><header sid='9'><key prekey='1' rid='7'>KEY</key><iv>LONG</iv></header></encrypted><store xmlns='urn:xmpp:hints'/></message>",
			"1",
			[]carrier.Key{{Device: 7, PreKey: true, Data: []byte{0, 1}}},
			16,
		},
		"an empty payload": {
			"<message from='JID' type='chat' id='1'><encrypted xmlns='NS'><header sid='9'><key rid='7'>KEY</key><iv>IV</iv></header><payload/></encrypted><body>fallback</body></message>",
			"1",
			[]carrier.Key{{Device: 7, Data: []byte{0, 1}}},
			12,
		},
		"no vector": {
			"<message from='JID' type='chat' id='1'><encrypted xmlns='NS'><header sid='9'><key rid='7'>KEY</key></header></encrypted></message>",
			"1",
			[]carrier.Key{{Device: 7, Data: []byte{0, 1}}},
			0,
		},
	}
	fill := strings.NewReplacer("JID", xmpptest.PeerJID, "NS", NSOMEMO, "KEY", aKey, "LONG", longIV, "IV", aVec)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := testReader(t).Message(mustParse(t, fill.Replace(test.text)), Span{Now: xmpptest.Arrival()})
			if len(r.Events) != 1 || len(r.Drops) != 0 {
				t.Fatalf("read as %+v, dropped %v", r.Events, r.Drops)
			}
			m, ok := r.Events[0].(carrier.Message)
			if !ok || m.From != peer || m.ID != test.id || m.WantsReceipt || m.Envelope.Payload != nil || len(m.Envelope.IV) != test.iv {
				t.Errorf("read as %+v", r.Events[0])
			}
			if diff := cmp.Diff(test.keys, m.Envelope.Keys); diff != "" || m.Envelope.Sender != 9 {
				t.Errorf("sender %d, keys:\n%s", m.Envelope.Sender, diff)
			}
		})
	}
}

func TestDeviceLists_InEveryForm(t *testing.T) {
	tests := map[string]struct {
		items string
		want  []carrier.DeviceID // nil: says nothing
	}{
		"a second device":                       {"<item id='current' publisher='JID'><list xmlns='NS'><device id='5'/><device id='6'/></list></item>", []carrier.DeviceID{5, 6}},
		"an item without a fixed id, as of old": {"<item id='5EC2A'><list xmlns='NS'><device id='5'/></list></item>", []carrier.DeviceID{5}},
		"labels, which newer clients add":       {"<item id='current'><list xmlns='NS'><device id='5' label='phone'/></list></item>", []carrier.DeviceID{5}},
		"another device removed":                {"<item id='current'><list xmlns='NS'><device id='6'/></list></item>", []carrier.DeviceID{6}},
		"the last device removed":               {"<item id='current'><list xmlns='NS'/></item>", []carrier.DeviceID{}},
		"the item retracted":                    {"<retract id='current'/>", nil},
	}
	fill := strings.NewReplacer("JID", xmpptest.PeerJID, "NS", NSOMEMO)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			text := "<message from='" + xmpptest.Customer + "@relay.test' type='headline'><event xmlns='" + NSEvent + "'><items node='" + NodeDevices + "'>" +
				fill.Replace(test.items) + "</items></event></message>"
			r := testReader(t).Message(mustParse(t, text), Span{Now: xmpptest.Arrival()})
			var want []carrier.Event
			if test.want != nil {
				want = []carrier.Event{carrier.DeviceList{Peer: xmpptest.Number(t, xmpptest.Customer), Devices: test.want}}
			}
			if diff := cmp.Diff(want, r.Events, compareReadings); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A message that waited offline has the server's <delay> when it was stored, and what a client
// wrote before it.
func TestDelays_TwoInOneMessage(t *testing.T) {
	text := "<message from='" + xmpptest.PeerJID + "' id='1' type='chat'>" + xmpptest.Enc +
		"<delay xmlns='urn:xmpp:delay' from='" + xmpptest.PeerJID + "' stamp='2026-01-01T00:00:00Z'/>" +
		"<delay xmlns='urn:xmpp:delay' from='relay.test' stamp='2026-01-02T03:04:05Z'>Offline Storage</delay></message>"
	r := testReader(t).Message(mustParse(t, text), Span{Now: xmpptest.Arrival()})
	if m, ok := r.Events[0].(carrier.Message); !ok || !m.Time.Equal(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) {
		t.Errorf("read as %+v", r.Events[0])
	}
}
