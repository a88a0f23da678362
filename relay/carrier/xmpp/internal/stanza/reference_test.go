package stanza

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/about"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/xmpptest"
)

// Elements of a message that are about another one.
const (
	replyTo    = `<reply xmlns='urn:xmpp:reply:0' to='+15550100001@relay.test' id='q'/>`
	replyQuote = `<fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='0' end='8'/></fallback>`
	replaces   = `<replace xmlns='urn:xmpp:message-correct:0' id='m'/>`
	retract1   = `<retract xmlns='urn:xmpp:message-retract:1' id='m'/>`
	retract0   = `<apply-to xmlns='urn:xmpp:fasten:0' id='m'><retract xmlns='urn:xmpp:message-retract:0'/></apply-to>`
)

func reacts(content string) string {
	return `<reactions xmlns='urn:xmpp:reactions:0' id='q'>` + content + `</reactions>`
}

func TestReferences_AreReadBesideTheEnvelope(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		content string
		want    carrier.References
	}{
		"reply":                  {replyTo + replyQuote, carrier.References{ReplyTo: "q", Quote: carrier.Range{End: 8}}},
		"reply without fallback": {replyTo, carrier.References{ReplyTo: "q"}},
		"correction of a reply":  {replaces + replyTo, carrier.References{ReplyTo: "q", Corrects: "m"}},
		"two of a kind":          {replyTo + strings.ReplaceAll(replyTo, "'q'", "'r'") + replaces + strings.ReplaceAll(replaces, "'m'", "'n'"), carrier.References{ReplyTo: "q", Corrects: "m"}},
		"of another namespace":   {`<reply xmlns='urn:x' id='q'/><replace id='m'/>`, carrier.References{}},
		"fallback of another":    {replyTo + strings.ReplaceAll(replyQuote, "urn:xmpp:reply:0", "urn:xmpp:reactions:0"), carrier.References{ReplyTo: "q"}},
		"fallback that is all":   {replyTo + `<fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'/>`, carrier.References{ReplyTo: "q"}},
		"range without a start":  {replyTo + strings.ReplaceAll(replyQuote, "start='0' ", ""), carrier.References{ReplyTo: "q", Quote: carrier.Range{End: 8}}},
		"range backwards":        {replyTo + strings.ReplaceAll(replyQuote, "start='0'", "start='9'"), carrier.References{ReplyTo: "q"}},
		"range that is none":     {replyTo + strings.ReplaceAll(replyQuote, "end='8'", "end='-8'"), carrier.References{ReplyTo: "q"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := `<message from='` + xmpptest.PeerJID + `' id='1' type='chat'>` + xmpptest.Enc + tc.content + `</message>`
			got := testReader(t).Message(mustParse(t, text), Span{Now: xmpptest.Arrival()})
			if len(got.Events) != 1 {
				t.Fatalf("%d events", len(got.Events))
			}
			m, _ := got.Events[0].(carrier.Message)
			if m.References != tc.want {
				t.Errorf("%+v, want %+v", m.References, tc.want)
			}
		})
	}
}

func TestReferences_InClearComeOnlyWithTheirText(t *testing.T) {
	t.Parallel()
	text := `<message from='` + xmpptest.PeerJID + `' id='1'><body>clear</body>` + replaces + `</message>`
	for accept, want := range map[bool]carrier.References{true: {Corrects: "m"}, false: {}} {
		r := testReader(t)
		r.AcceptUnencrypted = accept
		u, _ := r.Message(mustParse(t, text), Span{Now: xmpptest.Arrival()}).Events[0].(carrier.Unread)
		if u.References != want || (u.Text != "") != accept {
			t.Errorf("accepted %t: %+v", accept, u)
		}
	}
}

func TestRemarks_AreReadAndTheirFallbackIsNot(t *testing.T) {
	t.Parallel()
	peer := xmpptest.Number(t, xmpptest.Customer)
	reaction := func(emoji ...string) []carrier.Event {
		return []carrier.Event{carrier.Reaction{ID: "1", From: peer, Resource: "phone", About: "q", Emoji: emoji, Time: xmpptest.Arrival()}}
	}
	retraction := []carrier.Event{carrier.Retraction{ID: "1", From: peer, Resource: "phone", About: "m", Time: xmpptest.Arrival()}}
	const body = `<body>fallback for clients that do not know it</body>`
	for name, tc := range map[string]struct {
		content string
		events  []carrier.Event
		drops   []Drop
	}{
		"reaction":             {reacts("<reaction>👍</reaction>") + "<store xmlns='urn:xmpp:hints'/>", reaction("👍"), nil},
		"several":              {reacts("<reaction>👍</reaction><reaction>🐢</reaction>"), reaction("👍", "🐢"), nil},
		"none any more":        {reacts(""), reaction(), nil},
		"with a fallback":      {reacts("<reaction>👍</reaction>") + body, reaction("👍"), nil},
		"words":                {reacts("<reaction>I agree</reaction>"), reaction("I agree"), nil},
		"a long one":           {reacts("<reaction>" + strings.Repeat("👍", 100) + "</reaction>"), reaction(), nil},
		"very many":            {reacts(strings.Repeat("<reaction>👍</reaction>", 1000)), reaction(strings.Fields(strings.Repeat("👍 ", carrier.MaxReactions))...), nil},
		"about nothing":        {strings.ReplaceAll(reacts(""), " id='q'", ""), nil, []Drop{DropEmpty}},
		"about a long id":      {strings.ReplaceAll(reacts(""), "'q'", "'"+strings.Repeat("q", MaxID+1)+"'"), nil, []Drop{DropLongID}},
		"retraction":           {retract1 + body + `<fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:message-retract:1'/>`, retraction, nil},
		"retraction, no body":  {retract1, retraction, nil},
		"retraction of before": {retract0 + body + `<fallback xmlns='urn:xmpp:fallback:0'/>`, retraction, nil},
		"fastened otherwise":   {`<apply-to xmlns='urn:xmpp:fasten:0' id='m'><x xmlns='urn:x'/></apply-to>`, nil, []Drop{DropEmpty}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := `<message from='` + xmpptest.PeerJID + `' id='1' type='chat'>` + tc.content + `</message>`
			got := testReader(t).Message(mustParse(t, text), Span{Now: xmpptest.Arrival()})
			if diff := cmp.Diff(Reading{Events: tc.events, Drops: tc.drops}, got, compareReadings); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRemarks_HideNoEncryptedText(t *testing.T) {
	t.Parallel()
	text := `<message from='` + xmpptest.PeerJID + `' id='1' type='chat'>` + xmpptest.Enc + retract1 + reacts("<reaction>👍</reaction>") + `</message>`
	kinds := map[string]int{}
	for _, ev := range testReader(t).Message(mustParse(t, text), Span{Now: xmpptest.Arrival()}).Events {
		switch ev.(type) {
		case carrier.Message:
			kinds["message"]++
		case carrier.Reaction:
			kinds["reaction"]++
		case carrier.Retraction:
			kinds["retraction"]++
		}
	}
	if diff := cmp.Diff(map[string]int{"message": 1, "reaction": 1, "retraction": 1}, kinds); diff != "" {
		t.Error(diff)
	}
}

// What an envelope of OMEMO2 says about others counts instead, so these come with it.
func TestRemarks_BesideOMEMO2ComeWithTheEnvelope(t *testing.T) {
	t.Parallel()
	keys := "<keys jid='" + ownJID + "'><key rid='7'>AAEC</key></keys>"
	for _, envelopes := range []string{enc2(keys), xmpptest.Enc + enc2(keys)} {
		text := `<message from='` + xmpptest.PeerJID + `' id='1' type='chat'>` + envelopes + retract1 + reacts("<reaction>👍</reaction>") + replyTo + `</message>`
		events := testReader(t).Message(mustParse(t, text), Span{Now: xmpptest.Arrival()}).Events
		if len(events) != 1 {
			t.Fatalf("%d events", len(events))
		}
		m, _ := events[0].(carrier.Message)
		if m.Reaction == nil || m.Reaction.About != "q" || m.Reaction.Encrypted || m.Retraction == nil || m.Retraction.About != "m" || m.References.ReplyTo != "q" {
			t.Errorf("read as %+v", m)
		}
	}
}

func TestWhatIsSentAboutOthersIsReadAsItWasSent(t *testing.T) {
	t.Parallel()
	a := Addresses{Own: xmpptest.Number(t, xmpptest.Customer), Domain: "relay.test"}
	to := xmpptest.Number(t, xmpptest.Business)
	read := func(e *Element) carrier.Event {
		e.Attrs = append(e.Attrs, New("", "", "from", xmpptest.PeerJID).Attrs...)
		events := testReader(t).Message(mustParse(t, string(e.Bytes())), Span{Now: xmpptest.Arrival()}).Events
		if len(events) != 1 {
			t.Fatalf("%s has %d events", e.Bytes(), len(events))
		}
		return events[0]
	}
	refs := carrier.References{ReplyTo: "q", Quote: carrier.Range{End: 12}, Corrects: "m"}
	for own, author := range map[bool]string{false: xmpptest.Business, true: xmpptest.Customer} {
		sent := refs
		sent.ReplyToOwn = own
		e := Outgoing(a, carrier.Outgoing{ID: "1", To: to, Envelope: xmpptest.Envelope(1), References: sent})
		if got := e.Child(about.NSReply, "reply").Attr("to"); got != author+"@relay.test" {
			t.Errorf("the answered message is of %q", got)
		}
		if m, _ := read(e).(carrier.Message); m.References != refs {
			t.Errorf("%+v, want %+v", m.References, refs)
		}
	}
	for _, emoji := range []string{"👍", ""} {
		r, _ := read(Reaction(a, carrier.OutgoingReaction{ID: "1", To: to, About: "q", Emoji: emoji})).(carrier.Reaction)
		if r.About != "q" || strings.Join(r.Emoji, " ") != emoji {
			t.Errorf("%q is read as %+v", emoji, r)
		}
	}
	if r, _ := read(Retraction(a, "1", to, "m")).(carrier.Retraction); r.About != "m" {
		t.Errorf("a retraction is read as %+v", r)
	}
}
