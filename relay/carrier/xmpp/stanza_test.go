package xmpp

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/phone"
)

const (
	peerJID = customer + "@relay.test/phone"
	enc     = `<encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='9'><key rid='7' prekey='true'>AAEC</key><iv>AAECAwQFBgcICQoL</iv></header><payload>AAE=</payload></encrypted>`
	list    = `<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='eu.siacs.conversations.axolotl.devicelist'><item id='current'><list xmlns='eu.siacs.conversations.axolotl'>%s</list></item></items></event>`
)

// stanzas are what parsers start from when they are fuzzed.
var stanzas = []string{
	`<message from='` + peerJID + `' id='1' type='chat'>` + enc + `<request xmlns='urn:xmpp:receipts'/><markable xmlns='urn:xmpp:chat-markers:0'/><store xmlns='urn:xmpp:hints'/></message>`,
	`<message from='` + peerJID + `' type='error' id='1'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>`,
	`<message from='` + peerJID + `'><received xmlns='urn:xmpp:receipts' id='1'/><displayed xmlns='urn:xmpp:chat-markers:0' id='2'/></message>`,
	`<message from='` + peerJID + `' id='2'><body>hi</body><delay xmlns='urn:xmpp:delay' from='relay.test' stamp='2026-01-02T03:04:05Z'/></message>`,
	`<message from='` + customer + `@relay.test' type='headline'>` + fmt.Sprintf(list, `<device id='1'/><device id='2'/>`) + `</message>`,
	`<bundle xmlns='eu.siacs.conversations.axolotl'><signedPreKeyPublic signedPreKeyId='1'>AAE=</signedPreKeyPublic><signedPreKeySignature>AAE=</signedPreKeySignature><identityKey>AAE=</identityKey><prekeys><preKeyPublic preKeyId='1'>AAE=</preKeyPublic></prekeys></bundle>`,
}

var arrival = time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)

func testReader(t testing.TB) reader {
	return reader{addresses: addresses{own: number(t, business), domain: "relay.test"}}
}

// compareReadings compares all that a stanza came to.
var compareReadings = cmp.Options{
	cmp.AllowUnexported(reading{}),
	cmp.Comparer(func(a, b phone.Number) bool { return a == b }),
	cmpopts.EquateEmpty(),
}

func TestMessageStanzas(t *testing.T) {
	peer := number(t, customer)
	from := func(jid, attrs, content string) string {
		return "<message from='" + jid + "' " + attrs + ">" + content + "</message>"
	}
	message := carrier.Message{
		ID: "1", From: peer, Resource: "phone", Time: arrival,
		Envelope: carrier.Envelope{
			Sender:  9,
			Keys:    []carrier.Key{{Device: 7, PreKey: true, Data: []byte{0, 1, 2}}},
			IV:      []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11},
			Payload: []byte{0, 1},
		},
	}
	changed := func(f func(*carrier.Message)) []carrier.Event {
		m := message
		f(&m)
		return []carrier.Event{m}
	}
	devices := func(ids ...carrier.DeviceID) string {
		var b strings.Builder
		for _, id := range ids {
			fmt.Fprintf(&b, "<device id='%d'/>", id)
		}
		return fmt.Sprintf(list, b.String())
	}
	bounced := func(temporary bool) []carrier.Event {
		return []carrier.Event{carrier.Bounce{To: peer, ID: "7", Temporary: temporary}}
	}
	doubtful := []carrier.Event{carrier.Bounce{To: peer, ID: "7", Doubtful: true}}
	unread := func(kind carrier.UnreadKind, f func(*carrier.Unread)) []carrier.Event {
		u := carrier.Unread{ID: "2", From: peer, Resource: "phone", Time: arrival, Kind: kind}
		f(&u)
		return []carrier.Event{u}
	}
	foreign := unread(carrier.ForeignEncryption, func(*carrier.Unread) {})
	tests := map[string]struct {
		text   string
		events []carrier.Event
		drops  []Drop
	}{
		"encrypted":   {from(peerJID, "id='1' type='chat'", enc+"<body>fallback</body>"), changed(func(*carrier.Message) {}), nil},
		"with wishes": {stanzas[0], changed(func(m *carrier.Message) { m.WantsReceipt, m.WantsRead = true, true }), nil},
		"without id, wishes are void": {
			from(peerJID, "", enc+"<request xmlns='urn:xmpp:receipts'/>"),
			changed(func(m *carrier.Message) { m.ID = "" }), nil,
		},
		"long id": {
			from(peerJID, "id='"+strings.Repeat("x", maxID+1)+"'", enc),
			changed(func(m *carrier.Message) { m.ID = "" }),
			[]Drop{DropLongID},
		},
		"delayed by our server": {
			from(peerJID, "id='1'", enc+"<delay xmlns='urn:xmpp:delay' from='relay.test' stamp='2026-01-02T03:04:05.5Z'/>"),
			changed(func(m *carrier.Message) { m.Time = time.Date(2026, 1, 2, 3, 4, 5, 5e8, time.UTC) }), nil,
		},
		"delayed by the peer in our server's name": {
			from(peerJID, "id='1'", "<delay xmlns='urn:xmpp:delay' from='relay.test' stamp='2026-01-02T03:04:05Z'/>"+enc),
			changed(func(*carrier.Message) {}), nil,
		},
		"delayed by both": {
			from(peerJID, "id='1'", "<delay xmlns='urn:xmpp:delay' from='relay.test' stamp='2026-01-02T03:04:05Z'/>"+enc+"<delay xmlns='urn:xmpp:delay' from='relay.test' stamp='2026-05-06T07:00:00Z'/>"),
			changed(func(m *carrier.Message) { m.Time = time.Date(2026, 5, 6, 7, 0, 0, 0, time.UTC) }), nil,
		},
		"delayed by the peer's word":     {from(peerJID, "id='1'", enc+"<delay xmlns='urn:xmpp:delay' from='"+peerJID+"' stamp='2026-01-02T03:04:05Z'/>"), changed(func(*carrier.Message) {}), nil},
		"delayed into the future":        {from(peerJID, "id='1'", enc+"<delay xmlns='urn:xmpp:delay' from='relay.test' stamp='2027-01-02T03:04:05Z'/>"), changed(func(*carrier.Message) {}), nil},
		"malformed, without content":     {from(peerJID, "id='2'", "<encrypted xmlns='"+nsOMEMO+"'/>"), nil, []Drop{DropMalformed}},
		"malformed":                      {from(peerJID, "id='2'", "<encrypted xmlns='"+nsOMEMO+"'><payload>AAE=</payload></encrypted>"), unread(carrier.Malformed, func(*carrier.Unread) {}), []Drop{DropMalformed}},
		"another's key cannot be read":   {from(peerJID, "id='1'", strings.Replace(enc, "<key rid='7'", "<key rid='5'>%</key><key rid='7'", 1)), changed(func(m *carrier.Message) { m.Envelope.Keys = append([]carrier.Key{{Device: 5}}, m.Envelope.Keys...) }), nil},
		"a second vector":                {from(peerJID, "id='1'", strings.Replace(enc, "<iv>", "<iv>%</iv><iv>", 1)), changed(func(*carrier.Message) {}), nil},
		"foreign domain":                 {from(customer+"@evil.test/x", "id='1'", enc), nil, []Drop{DropForeignDomain}},
		"longer domain":                  {from(customer+"@relay.test.evil.test", "id='1'", enc), nil, []Drop{DropForeignDomain}},
		"domain in another case":         {from(customer+"@Relay.test", "id='1'", enc), nil, []Drop{DropForeignDomain}},
		"no number":                      {from("alice@relay.test/x", "id='1'", enc), nil, []Drop{DropForeignAddress}},
		"number without plus":            {from("15550100002@relay.test", "id='1'", enc), nil, []Drop{DropForeignAddress}},
		"number with space":              {from("+1555 0100002@relay.test", "id='1'", enc), nil, []Drop{DropForeignAddress}},
		"the domain in the resource":     {from("evil.test/"+customer+"@relay.test", "id='1'", enc), nil, []Drop{DropForeignDomain}},
		"the server":                     {from("relay.test", "id='1'", "<body>maintenance</body>"), nil, []Drop{DropFromServer}},
		"our other device":               {from(business+"@relay.test/other", "id='1'", enc), nil, []Drop{DropFromSelf}},
		"carbon copy":                    {from(business+"@relay.test", "", "<received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='"+peerJID+"'>"+enc+"</message></forwarded></received>"), nil, []Drop{DropFromSelf}},
		"carbon copy forged by a peer":   {from(peerJID, "", "<received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='"+third+"@relay.test'>"+enc+"</message></forwarded></received>"), nil, []Drop{DropEmpty}},
		"group chat":                     {from(peerJID, "type='groupchat'", enc), nil, []Drop{DropForeignType}},
		"other encryption":               {from(peerJID, "id='2'", "<encryption xmlns='urn:xmpp:eme:0' namespace='urn:xmpp:omemo:2'/><body>notice</body>"), foreign, []Drop{DropForeignEncryption}},
		"OMEMO of another version":       {from(peerJID, "id='2'", "<encrypted xmlns='urn:xmpp:omemo:2'><header sid='1'/><payload>AA==</payload></encrypted><store xmlns='urn:xmpp:hints'/>"), foreign, []Drop{DropForeignEncryption}},
		"its session's step":             {from(peerJID, "id='2'", "<encrypted xmlns='urn:xmpp:omemo:2'><header sid='1'/></encrypted>"), nil, []Drop{DropForeignEncryption}},
		"OpenPGP":                        {from(peerJID, "id='2'", "<openpgp xmlns='urn:xmpp:openpgp:0'>AA==</openpgp>"), foreign, []Drop{DropForeignEncryption}},
		"OpenPGP of old":                 {from(peerJID, "id='2'", "<body>This message is encrypted.</body><x xmlns='jabber:x:encrypted'>AA==</x>"), foreign, []Drop{DropForeignEncryption}},
		"OTR":                            {from(peerJID, "id='2'", "<body>?OTR:AAMC.</body>"), foreign, []Drop{DropForeignEncryption}},
		"OMEMO beside its next version":  {from(peerJID, "id='1'", "<encrypted xmlns='urn:xmpp:omemo:2'><payload/></encrypted>"+enc), changed(func(*carrier.Message) {}), nil},
		"in clear, with wishes":          {from(peerJID, "id='2' xml:lang='de'", "<body>secret</body><request xmlns='urn:xmpp:receipts'/><markable xmlns='urn:xmpp:chat-markers:0'/>"), unread(carrier.InClear, func(u *carrier.Unread) { u.WantsReceipt, u.WantsRead, u.Language = true, true, "de" }), []Drop{DropPlaintext}},
		"an empty body":                  {from(peerJID, "id='2'", "<body> </body><active xmlns='"+nsStates+"'/>"), []carrier.Event{carrier.Typing{From: peer}}, nil},
		"in clear":                       {from(peerJID, "id='2'", "<body>secret</body>"), unread(carrier.InClear, func(*carrier.Unread) {}), []Drop{DropPlaintext}},
		"typing":                         {from(peerJID, "", "<composing xmlns='"+nsStates+"'/>"), []carrier.Event{carrier.Typing{From: peer, Composing: true}}, nil},
		"no longer typing":               {from(peerJID, "", "<paused xmlns='"+nsStates+"'/>"), []carrier.Event{carrier.Typing{From: peer}}, nil},
		"typing in a foreign domain":     {from("x@evil.test", "", "<composing xmlns='"+nsStates+"'/>"), nil, []Drop{DropForeignDomain}},
		"unknown chat state":             {from(peerJID, "", "<dreaming xmlns='"+nsStates+"'/>"), nil, []Drop{DropEmpty}},
		"chat state beside a message":    {from(peerJID, "id='1' type='chat'", enc+"<active xmlns='"+nsStates+"'/>"), changed(func(*carrier.Message) {}), nil},
		"delivered":                      {from(peerJID, "", "<received xmlns='urn:xmpp:receipts' id='7'/>"), []carrier.Event{carrier.Receipt{From: peer, ID: "7", Kind: carrier.Delivered}}, nil},
		"read":                           {from(peerJID, "", "<displayed xmlns='urn:xmpp:chat-markers:0' id='7'/>"), []carrier.Event{carrier.Receipt{From: peer, ID: "7", Kind: carrier.Read}}, nil},
		"receipt for nothing":            {from(peerJID, "", "<received xmlns='urn:xmpp:receipts'/>"), nil, []Drop{DropEmpty}},
		"bounce without a reason":        {from(peerJID, "type='error' id='7'", enc), bounced(false), nil},
		"bounce for good":                {from(peerJID, "type='error' id='7'", enc+stanzaErrorOf("cancel", "item-not-found")), bounced(false), nil},
		"bounce of a session that ended": {from(peerJID, "type='error' id='7'", enc+stanzaErrorOf("cancel", "service-unavailable")), doubtful, nil},
		"bounce of a session on Prosody": {from(peerJID, "type='error' id='7'", enc+stanzaErrorOf("cancel", "recipient-unavailable")), doubtful, nil},
		"bounce that a change mends":     {from(peerJID, "type='error' id='7'", stanzaErrorOf("modify", "policy-violation")), bounced(false), nil},
		"bounce that wants a login":      {from(peerJID, "type='error' id='7'", stanzaErrorOf("auth", "forbidden")), bounced(false), nil},
		"bounce of an unknown type":      {from(peerJID, "type='error' id='7'", stanzaErrorOf("later", "policy-violation")), bounced(false), nil},
		"bounce for now":                 {from(peerJID, "type='error' id='7'", enc+stanzaErrorOf("wait", "resource-constraint")), bounced(true), nil},
		"bounce for now by policy":       {from(peerJID, "type='error' id='7'", stanzaErrorOf("wait", "policy-violation")), bounced(true), nil},
		"bounce that is a warning":       {from(peerJID, "type='error' id='7'", stanzaErrorOf("continue", "undefined-condition")), nil, []Drop{DropEmpty}},
		"bounce for now, by a stranger":  {from("x@evil.test", "type='error' id='7'", stanzaErrorOf("wait", "resource-constraint")), nil, []Drop{DropForeignDomain}},
		"bounce from a foreign domain":   {from("x@evil.test", "type='error' id='7'", ""), nil, []Drop{DropForeignDomain}},
		"device list":                    {from(customer+"@relay.test", "type='headline'", devices(1, 2)), []carrier.Event{carrier.DeviceList{Peer: peer, Devices: []carrier.DeviceID{1, 2}}}, nil},
		"empty device list":              {from(customer+"@relay.test", "", devices()), []carrier.Event{carrier.DeviceList{Peer: peer}}, nil},
		"our device list":                {from(business+"@relay.test", "type='headline'", devices(3)), []carrier.Event{carrier.OwnDeviceList{Devices: []carrier.DeviceID{3}}}, nil},
		"our device list, from nobody":   {"<message>" + devices(3) + "</message>", []carrier.Event{carrier.OwnDeviceList{Devices: []carrier.DeviceID{3}}}, nil},
		"very many devices":              {from(customer+"@relay.test", "", devices(sequence(1000)...)), []carrier.Event{carrier.DeviceList{Peer: peer, Devices: sequence(1000)}}, nil},
		"another node's event":           {from(customer+"@relay.test", "type='headline'", "<event xmlns='"+nsEvent+"'><items node='mood'/></event>"), nil, []Drop{DropForeignType}},
		"stream error within a message":  {from(peerJID, "", "<error xmlns='"+nsStream+"'><conflict/></error>"), nil, []Drop{DropEmpty}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := testReader(t).message(mustParse(t, tc.text), span{now: arrival})
			if diff := cmp.Diff(reading{events: tc.events, drops: tc.drops}, got, compareReadings); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// stanzaErrorOf is the part of a stanza that says what was wrong with it.
func stanzaErrorOf(kind, condition string) string {
	return "<error type='" + kind + "'><" + condition + " xmlns='" + nsStanzas + "'/></error>"
}

func sequence(n int) []carrier.DeviceID {
	ids := make([]carrier.DeviceID, n)
	for i := range ids {
		ids[i] = carrier.DeviceID(i + 1)
	}
	return ids
}

func TestFloodOfReceiptsInOneStanzaIsCut(t *testing.T) {
	text := "<message from='" + peerJID + "'>" + strings.Repeat("<received xmlns='urn:xmpp:receipts' id='7'/>", 1000) + "</message>"
	if got := testReader(t).message(mustParse(t, text), span{now: arrival}); len(got.events) != maxReceipts {
		t.Errorf("%d receipts", len(got.events))
	}
}

func TestOutgoingMessageIsReadAsItWasSent(t *testing.T) {
	a := addresses{own: number(t, customer), domain: "relay.test"}
	for name, env := range map[string]carrier.Envelope{
		"message":       envelope(2),
		"key transport": {Sender: 1, Keys: envelope(1).Keys, IV: make([]byte, 16)},
	} {
		t.Run(name, func(t *testing.T) {
			o := carrier.Outgoing{ID: "i", To: number(t, business), Envelope: env, Receipts: true}
			e := outgoing(a, o)
			if e.attr("to") != business+"@relay.test" || e.child(nsHints, "store") == nil || e.child(nsEME, "encryption") == nil {
				t.Errorf("sent as %s", e.bytes())
			}
			if (e.child(nsClient, "body") != nil) != (env.Payload != nil) {
				t.Error("the fallback body belongs to content alone")
			}
			e.attrs = append(e.attrs, elem("", "", "from", peerJID).attrs...)
			got := testReader(t).message(mustParse(t, string(e.bytes())), span{now: arrival})
			want := carrier.Message{ID: "i", From: number(t, customer), Resource: "phone", Envelope: env, Time: arrival, WantsReceipt: true, WantsRead: true}
			if diff := cmp.Diff(reading{events: []carrier.Event{want}}, got, compareReadings); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzMessage(f *testing.F) {
	for _, s := range stanzas {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := parse(text)
		if err != nil {
			return
		}
		p := testReader(t)
		p.acceptUnencrypted = true
		r := p.message(e, span{now: arrival})
		if len(r.events) == 0 && len(r.drops) == 0 && e.child(nsEvent, "event") == nil {
			t.Error("neither handed on nor counted")
		}
		if len(r.events) > maxReceipts+1 {
			t.Errorf("%d events in one stanza", len(r.events))
		}
		for _, ev := range r.events {
			if m, ok := ev.(carrier.Message); ok && (m.From.IsZero() || m.From == p.own || m.Time.After(arrival)) {
				t.Errorf("message %+v", m)
			}
		}
	})
}
