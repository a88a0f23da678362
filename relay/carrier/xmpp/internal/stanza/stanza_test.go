package stanza

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/xmpptest"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/test/fuzz/mutation"
)

// report is a report of spam as the server forwards it.
func report(reason, about string) string {
	return "<report xmlns='urn:xmpp:reporting:1' reason='" + reason + "'><jid xmlns='urn:xmpp:jid:0'>" + about + "</jid><text>never asked for it</text></report>"
}

func testReader(t testing.TB) Reader {
	return Reader{Addresses: Addresses{Own: xmpptest.Number(t, xmpptest.Business), Domain: "relay.test"}}
}

// compareReadings compares all that a stanza came to.
var compareReadings = cmp.Options{
	cmp.AllowUnexported(Reading{}),
	cmp.Comparer(func(a, b phone.Number) bool { return a == b }),
	cmpopts.EquateEmpty(),
}

func TestMessageStanzas(t *testing.T) {
	peer := xmpptest.Number(t, xmpptest.Customer)
	from := func(jid, attrs, content string) string {
		return "<message from='" + jid + "' " + attrs + ">" + content + "</message>"
	}
	message := carrier.Message{
		ID: "1", From: peer, Resource: "phone", Time: xmpptest.Arrival(),
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
		return fmt.Sprintf(xmpptest.List, b.String())
	}
	bounced := func(temporary bool) []carrier.Event {
		return []carrier.Event{carrier.Bounce{To: peer, ID: "7", Temporary: temporary}}
	}
	doubtful := []carrier.Event{carrier.Bounce{To: peer, ID: "7", Doubtful: true}}
	unread := func(kind carrier.UnreadKind, f func(*carrier.Unread)) []carrier.Event {
		u := carrier.Unread{ID: "2", From: peer, Resource: "phone", Time: xmpptest.Arrival(), Kind: kind}
		f(&u)
		return []carrier.Event{u}
	}
	foreign := unread(carrier.ForeignEncryption, func(*carrier.Unread) {})
	tests := map[string]struct {
		text   string
		events []carrier.Event
		drops  []Drop
	}{
		"encrypted":   {from(xmpptest.PeerJID, "id='1' type='chat'", xmpptest.Enc+"<body>fallback</body>"), changed(func(*carrier.Message) {}), nil},
		"with wishes": {xmpptest.Stanzas()[0], changed(func(m *carrier.Message) { m.WantsReceipt, m.WantsRead = true, true }), nil},
		"without id, wishes are void": {
			from(xmpptest.PeerJID, "", xmpptest.Enc+"<request xmlns='urn:xmpp:receipts'/>"),
			changed(func(m *carrier.Message) { m.ID = "" }), nil,
		},
		"a report of spam": {
			from("relay.test", "id='9'", report(reportSpam, "+15550100001@relay.test/phone")), []carrier.Event{carrier.Report{ID: "9"}}, nil,
		},
		"a report of abuse": {
			from("relay.test", "", report(reportAbuse, " +15550100001@relay.test\n")), []carrier.Event{carrier.Report{}}, nil,
		},
		"a report for no reason":   {from("relay.test", "", report("urn:other", "+15550100001@relay.test")), nil, []Drop{DropMalformed}},
		"a report about another":   {from("relay.test", "", report(reportSpam, "+4930999999@relay.test")), nil, []Drop{DropFromServer}},
		"a report about nobody":    {from("relay.test", "", "<report xmlns='urn:xmpp:reporting:1' reason='"+reportSpam+"'/>"), nil, []Drop{DropFromServer}},
		"a report that came back":  {from("relay.test", "type='error'", report(reportSpam, "+15550100001@relay.test")), nil, []Drop{DropFromServer}},
		"a report from a customer": {from(xmpptest.PeerJID, "", report(reportSpam, "+15550100001@relay.test")), nil, []Drop{DropEmpty}},
		"a report from elsewhere":  {from("other.test", "", report(reportSpam, "+15550100001@relay.test")), nil, []Drop{DropForeignDomain}},
		"long id": {
			from(xmpptest.PeerJID, "id='"+strings.Repeat("x", MaxID+1)+"'", xmpptest.Enc),
			changed(func(m *carrier.Message) { m.ID = "" }),
			[]Drop{DropLongID},
		},
		"delayed by our server": {
			from(xmpptest.PeerJID, "id='1'", xmpptest.Enc+"<delay xmlns='urn:xmpp:delay' from='relay.test' stamp='2026-01-02T03:04:05.5Z'/>"),
			changed(func(m *carrier.Message) { m.Time = time.Date(2026, 1, 2, 3, 4, 5, 5e8, time.UTC) }), nil,
		},
		"delayed by the peer in our server's name": {
			from(xmpptest.PeerJID, "id='1'", "<delay xmlns='urn:xmpp:delay' from='relay.test' stamp='2026-01-02T03:04:05Z'/>"+xmpptest.Enc),
			changed(func(*carrier.Message) {}), nil,
		},
		"delayed by both": {
			from(xmpptest.PeerJID, "id='1'", "<delay xmlns='urn:xmpp:delay' from='relay.test' stamp='2026-01-02T03:04:05Z'/>"+xmpptest.Enc+"<delay xmlns='urn:xmpp:delay' from='relay.test' stamp='2026-05-06T07:00:00Z'/>"),
			changed(func(m *carrier.Message) { m.Time = time.Date(2026, 5, 6, 7, 0, 0, 0, time.UTC) }), nil,
		},
		"delayed by the peer's word":    {from(xmpptest.PeerJID, "id='1'", xmpptest.Enc+"<delay xmlns='urn:xmpp:delay' from='"+xmpptest.PeerJID+"' stamp='2026-01-02T03:04:05Z'/>"), changed(func(*carrier.Message) {}), nil},
		"delayed into the future":       {from(xmpptest.PeerJID, "id='1'", xmpptest.Enc+"<delay xmlns='urn:xmpp:delay' from='relay.test' stamp='2027-01-02T03:04:05Z'/>"), changed(func(*carrier.Message) {}), nil},
		"malformed, without content":    {from(xmpptest.PeerJID, "id='2'", "<encrypted xmlns='"+NSOMEMO+"'/>"), nil, []Drop{DropMalformed}},
		"malformed":                     {from(xmpptest.PeerJID, "id='2'", "<encrypted xmlns='"+NSOMEMO+"'><payload>AAE=</payload></encrypted>"), unread(carrier.Malformed, func(*carrier.Unread) {}), []Drop{DropMalformed}},
		"another's key cannot be read":  {from(xmpptest.PeerJID, "id='1'", strings.Replace(xmpptest.Enc, "<key rid='7'", "<key rid='5'>%</key><key rid='7'", 1)), changed(func(m *carrier.Message) { m.Envelope.Keys = append([]carrier.Key{{Device: 5}}, m.Envelope.Keys...) }), nil},
		"a second vector":               {from(xmpptest.PeerJID, "id='1'", strings.Replace(xmpptest.Enc, "<iv>", "<iv>%</iv><iv>", 1)), changed(func(*carrier.Message) {}), nil},
		"foreign domain":                {from(xmpptest.Customer+"@evil.test/x", "id='1'", xmpptest.Enc), nil, []Drop{DropForeignDomain}},
		"longer domain":                 {from(xmpptest.Customer+"@relay.test.evil.test", "id='1'", xmpptest.Enc), nil, []Drop{DropForeignDomain}},
		"domain in another case":        {from(xmpptest.Customer+"@Relay.test", "id='1'", xmpptest.Enc), nil, []Drop{DropForeignDomain}},
		"no number":                     {from("alice@relay.test/x", "id='1'", xmpptest.Enc), nil, []Drop{DropForeignAddress}},
		"number without plus":           {from("15550100002@relay.test", "id='1'", xmpptest.Enc), nil, []Drop{DropForeignAddress}},
		"number with space":             {from("+1555 0100002@relay.test", "id='1'", xmpptest.Enc), nil, []Drop{DropForeignAddress}},
		"the domain in the resource":    {from("evil.test/"+xmpptest.Customer+"@relay.test", "id='1'", xmpptest.Enc), nil, []Drop{DropForeignDomain}},
		"the server":                    {from("relay.test", "id='1'", "<body>maintenance</body>"), nil, []Drop{DropFromServer}},
		"our other device":              {from(xmpptest.Business+"@relay.test/other", "id='1'", xmpptest.Enc), nil, []Drop{DropFromSelf}},
		"carbon copy":                   {from(xmpptest.Business+"@relay.test", "", "<received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='"+xmpptest.PeerJID+"'>"+xmpptest.Enc+"</message></forwarded></received>"), nil, []Drop{DropFromSelf}},
		"carbon copy forged by a peer":  {from(xmpptest.PeerJID, "", "<received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='"+xmpptest.Third+"@relay.test'>"+xmpptest.Enc+"</message></forwarded></received>"), nil, []Drop{DropEmpty}},
		"group chat":                    {from(xmpptest.PeerJID, "type='groupchat'", xmpptest.Enc), nil, []Drop{DropForeignType}},
		"other encryption":              {from(xmpptest.PeerJID, "id='2'", "<encryption xmlns='urn:xmpp:eme:0' namespace='urn:xmpp:omemo:2'/><body>notice</body>"), foreign, []Drop{DropForeignEncryption}},
		"OMEMO of another version":      {from(xmpptest.PeerJID, "id='2'", "<encrypted xmlns='urn:xmpp:omemo:3'><header sid='1'/><payload>AA==</payload></encrypted><store xmlns='urn:xmpp:hints'/>"), foreign, []Drop{DropForeignEncryption}},
		"its session's step":            {from(xmpptest.PeerJID, "id='2'", "<encrypted xmlns='urn:xmpp:omemo:3'><header sid='1'/></encrypted>"), nil, []Drop{DropForeignEncryption}},
		"OpenPGP":                       {from(xmpptest.PeerJID, "id='2'", "<openpgp xmlns='urn:xmpp:openpgp:0'>AA==</openpgp>"), foreign, []Drop{DropForeignEncryption}},
		"OpenPGP of old":                {from(xmpptest.PeerJID, "id='2'", "<body>This message is encrypted.</body><x xmlns='jabber:x:encrypted'>AA==</x>"), foreign, []Drop{DropForeignEncryption}},
		"OTR":                           {from(xmpptest.PeerJID, "id='2'", "<body>?OTR:AAMC.</body>"), foreign, []Drop{DropForeignEncryption}},
		"OMEMO beside its next version": {from(xmpptest.PeerJID, "id='1'", "<encrypted xmlns='urn:xmpp:omemo:2'><payload/></encrypted>"+xmpptest.Enc), changed(func(*carrier.Message) {}), nil},
		"in clear, with wishes":         {from(xmpptest.PeerJID, "id='2' xml:lang='de'", "<body>secret</body><request xmlns='urn:xmpp:receipts'/><markable xmlns='urn:xmpp:chat-markers:0'/>"), unread(carrier.InClear, func(u *carrier.Unread) { u.WantsReceipt, u.WantsRead, u.Language = true, true, "de" }), []Drop{DropPlaintext}},
		"an empty body":                 {from(xmpptest.PeerJID, "id='2'", "<body> </body><active xmlns='"+NSStates+"'/>"), []carrier.Event{carrier.Typing{From: peer}}, nil},
		"in clear":                      {from(xmpptest.PeerJID, "id='2'", "<body>secret</body>"), unread(carrier.InClear, func(*carrier.Unread) {}), []Drop{DropPlaintext}},
		"typing":                        {from(xmpptest.PeerJID, "", "<composing xmlns='"+NSStates+"'/>"), []carrier.Event{carrier.Typing{From: peer, Composing: true}}, nil},
		"no longer typing":              {from(xmpptest.PeerJID, "", "<paused xmlns='"+NSStates+"'/>"), []carrier.Event{carrier.Typing{From: peer}}, nil},
		"typing in a foreign domain":    {from("x@evil.test", "", "<composing xmlns='"+NSStates+"'/>"), nil, []Drop{DropForeignDomain}},
		"unknown chat state":            {from(xmpptest.PeerJID, "", "<dreaming xmlns='"+NSStates+"'/>"), nil, []Drop{DropEmpty}},
		"chat state beside a message":   {from(xmpptest.PeerJID, "id='1' type='chat'", xmpptest.Enc+"<active xmlns='"+NSStates+"'/>"), changed(func(*carrier.Message) {}), nil},
		"delivered":                     {from(xmpptest.PeerJID, "", "<received xmlns='urn:xmpp:receipts' id='7'/>"), []carrier.Event{carrier.Receipt{From: peer, ID: "7", Kind: carrier.Delivered}}, nil},
		"read":                          {from(xmpptest.PeerJID, "", "<displayed xmlns='urn:xmpp:chat-markers:0' id='7'/>"), []carrier.Event{carrier.Receipt{From: peer, ID: "7", Kind: carrier.Read}}, nil},
		"receipt for nothing":           {from(xmpptest.PeerJID, "", "<received xmlns='urn:xmpp:receipts'/>"), nil, []Drop{DropEmpty}},
		"not decrypted, by Converse":    {from(xmpptest.PeerJID, "type='error' id='9'", "<displayed xmlns='urn:xmpp:chat-markers:0' id='7'/>"), []carrier.Event{carrier.Receipt{From: peer, ID: "7", Kind: carrier.Unreadable}}, nil},
		"a receipt of ours came back":   {from(xmpptest.PeerJID, "type='error' id='7'", "<displayed xmlns='urn:xmpp:chat-markers:0' id='8'/>"+stanzaErrorOf("wait", "resource-constraint")), bounced(true), nil},
		"bounce without a reason":       {from(xmpptest.PeerJID, "type='error' id='7'", xmpptest.Enc), bounced(false), nil},
		"bounce for good":               {from(xmpptest.PeerJID, "type='error' id='7'", xmpptest.Enc+stanzaErrorOf("cancel", "item-not-found")), bounced(false), nil},
		"bounce of a stream that ended": {from(xmpptest.PeerJID, "type='error' id='7'", xmpptest.Enc+stanzaErrorOf("cancel", "service-unavailable")), doubtful, nil},
		"bounce of a stream on Prosody": {from(xmpptest.PeerJID, "type='error' id='7'", xmpptest.Enc+stanzaErrorOf("cancel", "recipient-unavailable")), doubtful, nil},
		"bounce that a change mends":    {from(xmpptest.PeerJID, "type='error' id='7'", stanzaErrorOf("modify", "policy-violation")), bounced(false), nil},
		"bounce that wants a login":     {from(xmpptest.PeerJID, "type='error' id='7'", stanzaErrorOf("auth", "forbidden")), bounced(false), nil},
		"bounce of an unknown type":     {from(xmpptest.PeerJID, "type='error' id='7'", stanzaErrorOf("later", "policy-violation")), bounced(false), nil},
		"bounce for now":                {from(xmpptest.PeerJID, "type='error' id='7'", xmpptest.Enc+stanzaErrorOf("wait", "resource-constraint")), bounced(true), nil},
		"bounce for now by policy":      {from(xmpptest.PeerJID, "type='error' id='7'", stanzaErrorOf("wait", "policy-violation")), bounced(true), nil},
		"bounce that is a warning":      {from(xmpptest.PeerJID, "type='error' id='7'", stanzaErrorOf("continue", "undefined-condition")), nil, []Drop{DropEmpty}},
		"bounce for now, by a stranger": {from("x@evil.test", "type='error' id='7'", stanzaErrorOf("wait", "resource-constraint")), nil, []Drop{DropForeignDomain}},
		"bounce from a foreign domain":  {from("x@evil.test", "type='error' id='7'", ""), nil, []Drop{DropForeignDomain}},
		"device list":                   {from(xmpptest.Customer+"@relay.test", "type='headline'", devices(1, 2)), []carrier.Event{carrier.DeviceList{Peer: peer, Devices: []carrier.DeviceID{1, 2}}}, nil},
		"empty device list":             {from(xmpptest.Customer+"@relay.test", "", devices()), []carrier.Event{carrier.DeviceList{Peer: peer}}, nil},
		"our device list":               {from(xmpptest.Business+"@relay.test", "type='headline'", devices(3)), []carrier.Event{carrier.OwnDeviceList{Devices: []carrier.DeviceID{3}}}, nil},
		"our device list, from nobody":  {"<message>" + devices(3) + "</message>", []carrier.Event{carrier.OwnDeviceList{Devices: []carrier.DeviceID{3}}}, nil},
		"very many devices":             {from(xmpptest.Customer+"@relay.test", "", devices(sequence(1000)...)), []carrier.Event{carrier.DeviceList{Peer: peer, Devices: sequence(1000)}}, nil},
		"another node's event":          {from(xmpptest.Customer+"@relay.test", "type='headline'", "<event xmlns='"+NSEvent+"'><items node='mood'/></event>"), nil, []Drop{DropForeignType}},
		"stream error within a message": {from(xmpptest.PeerJID, "", "<error xmlns='"+NSStream+"'><conflict/></error>"), nil, []Drop{DropEmpty}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := testReader(t).Message(mustParse(t, tc.text), Span{Now: xmpptest.Arrival()})
			if diff := cmp.Diff(Reading{Events: tc.events, Drops: tc.drops}, got, compareReadings); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// stanzaErrorOf is the part of a stanza that says what was wrong with it.
func stanzaErrorOf(kind, condition string) string {
	return "<error type='" + kind + "'><" + condition + " xmlns='" + NSStanzas + "'/></error>"
}

func sequence(n int) []carrier.DeviceID {
	ids := make([]carrier.DeviceID, n)
	for i := range ids {
		ids[i] = carrier.DeviceID(i + 1)
	}
	return ids
}

func TestFloodOfReceiptsInOneStanzaIsCut(t *testing.T) {
	text := "<message from='" + xmpptest.PeerJID + "'>" + strings.Repeat("<received xmlns='urn:xmpp:receipts' id='7'/>", 1000) + "</message>"
	if got := testReader(t).Message(mustParse(t, text), Span{Now: xmpptest.Arrival()}); len(got.Events) != MaxReceipts {
		t.Errorf("%d receipts", len(got.Events))
	}
}

func TestOutgoingMessageIsReadAsItWasSent(t *testing.T) {
	a := Addresses{Own: xmpptest.Number(t, xmpptest.Customer), Domain: "relay.test"}
	for name, env := range map[string]carrier.Envelope{
		"message":       xmpptest.Envelope(2),
		"key transport": {Sender: 1, Keys: xmpptest.Envelope(1).Keys, IV: make([]byte, 16)},
	} {
		t.Run(name, func(t *testing.T) {
			o := carrier.Outgoing{ID: "i", To: xmpptest.Number(t, xmpptest.Business), Envelope: env, Receipts: true}
			e := Outgoing(a, o)
			if e.Attr("to") != xmpptest.Business+"@relay.test" || e.Child(NSHints, "store") == nil || e.Child(NSEME, "encryption") == nil {
				t.Errorf("sent as %s", e.Bytes())
			}
			if (e.Child(NSClient, "body") != nil) != (env.Payload != nil) {
				t.Error("the fallback body belongs to content alone")
			}
			e.Attrs = append(e.Attrs, New("", "", "from", xmpptest.PeerJID).Attrs...)
			got := testReader(t).Message(mustParse(t, string(e.Bytes())), Span{Now: xmpptest.Arrival()})
			want := carrier.Message{ID: "i", From: xmpptest.Number(t, xmpptest.Customer), Resource: "phone", Envelope: env, Time: xmpptest.Arrival(), WantsReceipt: true, WantsRead: true}
			if diff := cmp.Diff(Reading{Events: []carrier.Event{want}}, got, compareReadings); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzMessage(tf *testing.F) {
	f := mutation.Of(tf)
	for _, s := range xmpptest.Stanzas() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := parse(text)
		if err != nil {
			return
		}
		p := testReader(t)
		p.AcceptUnencrypted = true
		r := p.Message(e, Span{Now: xmpptest.Arrival()})
		if len(r.Events) == 0 && len(r.Drops) == 0 && e.Child(NSEvent, "event") == nil {
			t.Error("neither passed on nor counted")
		}
		if len(r.Events) > MaxReceipts+3 { // an envelope, a reaction and a retraction
			t.Errorf("%d events in one stanza", len(r.Events))
		}
		for _, ev := range r.Events {
			if m, ok := ev.(carrier.Message); ok && (m.From.IsZero() || m.From == p.Own || m.Time.After(xmpptest.Arrival())) {
				t.Errorf("message %+v", m)
			}
		}
	})
}
