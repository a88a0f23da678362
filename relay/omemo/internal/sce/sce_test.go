package sce

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/about"
	"github.com/relaykeep/relaykeep/test/fuzz/mutation"
)

const (
	alice = "+4917022222@example.org"
	bob   = "+4930111111@example.org"
)

func envelope(content, affixes string) []byte {
	return []byte(`<envelope xmlns='urn:xmpp:sce:1'><content>` + content + `</content>` + affixes + `</envelope>`)
}

func TestEnvelopesAreReadAsTheyWereWritten(t *testing.T) {
	for _, text := range []string{"", "Hello World!", "<body> & \"quotes\" 'n' ]]>", "two\nlines\ttab", "\r\n", "ünïcode 🙂", strings.Repeat("&", 1000)} {
		b, err := Seal(Envelope{From: alice, Time: time.Unix(1e9, 0), Content: Content{Body: []byte(text), WantsReceipt: true, WantsRead: true}})
		if err != nil {
			t.Fatal(err)
		}
		got, err := Open(b, Parties{From: alice, To: bob})
		if err != nil || string(got.Body) != text || !got.WantsReceipt || !got.WantsRead {
			t.Errorf("%q came back as %q, %v", text, got.Body, err)
		}
	}
}

func TestPaddingHidesTheLength(t *testing.T) {
	lengths := map[int]bool{}
	for range 64 {
		b, err := Seal(Envelope{From: alice, Time: time.Now(), Content: Content{Body: []byte("x")}})
		if err != nil {
			t.Fatal(err)
		}
		lengths[len(b)] = true
	}
	if len(lengths) < 16 {
		t.Errorf("64 envelopes have %d lengths", len(lengths))
	}
}

// The XEPs' own example, and what other clients put beside a body.
func TestEnvelopesOfOthers(t *testing.T) {
	from := `<from jid='` + alice + `'/>`
	for name, e := range map[string]struct {
		content, affixes string
		want             Content
	}{
		"XEP-0384": {"<body xmlns='jabber:client'>\n Hello World!\n</body>", "<rpad>...</rpad>" + from, Content{Body: []byte("\n Hello World!\n")}},
		"Converse 14": {
			"<body xmlns='jabber:client'>a</body><active xmlns='http://jabber.org/protocol/chatstates'/>",
			"\n  <rpad>+7y4Y9hnyFLKLpo7</rpad>\n  <from xmlns='" + nsSCE + "' jid='" + alice + "'/>\n  \n",
			Content{Body: []byte("a")},
		},
		"without from":                {"<body xmlns='jabber:client'>a</body>", "<rpad/>", Content{Body: []byte("a")}},
		"from a full address":         {"<body xmlns='jabber:client'>a</body>", `<from jid='` + alice + `/phone'/>`, Content{Body: []byte("a")}},
		"to us":                       {"<body xmlns='jabber:client'>a</body>", from + `<to jid='` + bob + `'/>`, Content{Body: []byte("a")}},
		"an unknown affix":            {"<body xmlns='jabber:client'>a</body>", from + `<x/><y xmlns='else'/>`, Content{Body: []byte("a")}},
		"no content":                  {"", from, Content{}},
		"a body of another namespace": {"<body>a</body><body xmlns='http://www.w3.org/1999/xhtml'>a</body>", from, Content{}},
		"two bodies":                  {"<body xmlns='jabber:client'>a</body><body xmlns='jabber:client' xml:lang='de'>b</body>", from, Content{Body: []byte("a")}},
		"receipts": {
			"<received xmlns='urn:xmpp:receipts' id='1'/><displayed xmlns='urn:xmpp:chat-markers:0' id='2'/><displayed xmlns='urn:xmpp:chat-markers:0'/>",
			from,
			Content{Received: []string{"1"}, Displayed: []string{"2"}},
		},
	} {
		got, err := Open(envelope(e.content, e.affixes), Parties{From: alice, To: bob})
		if err != nil || !bytes.Equal(got.Body, e.want.Body) || (got.Body == nil) != (e.want.Body == nil) ||
			strings.Join(got.Received, " ") != strings.Join(e.want.Received, " ") || strings.Join(got.Displayed, " ") != strings.Join(e.want.Displayed, " ") {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestEnvelopesOfOtherConversationsAreRefused(t *testing.T) {
	body := "<body xmlns='jabber:client'>a</body>"
	for name, affixes := range map[string]string{
		"from someone else": `<from jid='+4917099999@example.org'/>`,
		"from a longer one": `<from jid='` + alice + `x'/>`,
		"from nobody":       `<from/>`,
		"to someone else":   `<from jid='` + alice + `'/><to jid='room@conference.example.org'/>`,
		"to nobody":         `<from jid='` + alice + `'/><to jid=''/>`,
	} {
		if _, err := Open(envelope(body, affixes), Parties{From: alice, To: bob}); !errors.Is(err, ErrParties) {
			t.Errorf("%s: %v, want ErrParties", name, err)
		}
	}
	if _, err := Open(envelope(body, `<from jid=''/>`), Parties{}); !errors.Is(err, ErrParties) {
		t.Errorf("without an address of ours: %v", err)
	}
}

func TestMalformedEnvelopesAreRefused(t *testing.T) {
	body := "<body xmlns='jabber:client'>a</body>"
	for name, b := range map[string]string{
		"empty":                    "",
		"no XML":                   "hello",
		"no envelope":              body,
		"no content":               "<envelope xmlns='urn:xmpp:sce:1'/>",
		"another version":          "<envelope xmlns='urn:xmpp:sce:0'><content/></envelope>",
		"content twice":            string(envelope(body, "<content/>")),
		"from twice":               string(envelope(body, strings.Repeat(`<from jid='`+alice+`'/>`, 2))),
		"a time that is none":      string(envelope(body, `<time stamp='yesterday'/>`)),
		"not closed":               string(envelope(body, ""))[:80],
		"something after it":       string(envelope(body, "")) + "<x/>",
		"text after it":            string(envelope(body, "")) + "x",
		"a document type":          "<!DOCTYPE x [<!ENTITY a 'b'>]>" + string(envelope(body, "")),
		"an entity":                string(envelope("<body xmlns='jabber:client'>&a;</body>", "")),
		"a comment":                string(envelope(body+"<!-- x -->", "")),
		"a processing instruction": string(envelope(body+"<?x y?>", "")),
		"too deep":                 string(envelope(strings.Repeat("<x>", maxDepth)+strings.Repeat("</x>", maxDepth), "")),
		"too many elements":        string(envelope(strings.Repeat("<x/>", maxElements), "")),
		"too many attributes":      string(envelope("<x "+attributes(maxAttrs+1)+"/>", "")),
		"no UTF-8":                 string(envelope("<body xmlns='jabber:client'>\xff</body>", "")),
	} {
		if _, err := Open([]byte(b), Parties{From: alice, To: bob}); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
}

func attributes(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(" a" + strings.Repeat("b", i) + "='1'")
	}
	return b.String()
}

// Elements of a content that are about another message, as clients write them.
const (
	replyTo    = "<reply xmlns='urn:xmpp:reply:0' to='" + bob + "' id='q'/>"
	replyQuote = "<fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='0' end='8'/></fallback>"
	replaces   = "<replace xmlns='urn:xmpp:message-correct:0' id='m'/>"
	reacts     = "<reactions xmlns='urn:xmpp:reactions:0' id='q'><reaction>👍</reaction></reactions>"
	retracts   = "<retract xmlns='urn:xmpp:message-retract:1' id='m'/>"
)

func fallbackFor(space string) string {
	return "<fallback xmlns='urn:xmpp:fallback:0' for='" + space + "'/>"
}

func TestContentAboutOthersIsRead(t *testing.T) {
	body := "<body xmlns='jabber:client'>&gt; yes?\nno</body>"
	refs := func(r carrier.References) about.Said { return about.Said{References: r} }
	reacted := about.Said{Reacts: true, ReactsTo: "q", Emoji: []string{"👍"}}
	retracted := about.Said{Retracts: true, Takes: "m"}
	repeated := func(s about.Said) about.Said { s.Repeats = true; return s }
	for name, c := range map[string]struct {
		content string
		want    about.Said
	}{
		"a reply":                          {body + replyTo + replyQuote, refs(carrier.References{ReplyTo: "q", Quote: carrier.Range{End: 8}})},
		"a correction of a reply":          {body + replyTo + replaces, refs(carrier.References{ReplyTo: "q", Corrects: "m"})},
		"a reaction":                       {reacts, reacted},
		"a reaction taken away":            {"<reactions xmlns='urn:xmpp:reactions:0' id='q'/>", about.Said{Reacts: true, ReactsTo: "q"}},
		"a reaction with a text":           {body + reacts, reacted},
		"a reaction with a fallback":       {body + reacts + fallbackFor("urn:xmpp:reactions:0"), repeated(reacted)},
		"a reaction with another fallback": {body + reacts + fallbackFor("urn:xmpp:sfs:0"), reacted},
		"a reaction to a long id":          {strings.Replace(reacts, "'q'", "'"+strings.Repeat("q", maxID+1)+"'", 1), about.Said{Reacts: true, Emoji: []string{"👍"}}},
		"a retraction":                     {retracts + fallbackFor("urn:xmpp:message-retract:1") + body, repeated(retracted)},
		"a retraction with part of a text": {retracts + strings.Replace(replyQuote, "urn:xmpp:reply:0", "urn:xmpp:message-retract:1", 1) + body, retracted},
		"a fallback for nothing":           {body + "<fallback xmlns='urn:xmpp:fallback:0'/>", about.Said{}},
		"a text alone":                     {body, about.Said{}},
		"elements of other namespaces":     {body + "<reply id='q'/><reactions id='q'/><retract id='m'/><replace id='m'/>", about.Said{}},
	} {
		got, err := Open(envelope(c.content, "<from jid='"+alice+"'/>"), Parties{From: alice, To: bob})
		if diff := cmp.Diff(c.want, got.About); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
}

func TestContentAboutOthersIsWritten(t *testing.T) {
	for name, c := range map[string]struct {
		content Content
		want    string
	}{
		"a reply": {
			Content{
				Body: []byte("> yes?\nno"), Author: bob, WantsReceipt: true,
				About: about.Said{References: carrier.References{ReplyTo: "q", Quote: carrier.Range{End: 7}}},
			},
			`<body xmlns="jabber:client">&gt; yes?&#xA;no</body><reply xmlns="urn:xmpp:reply:0" to="` + bob + `" id="q"></reply>` +
				`<fallback xmlns="urn:xmpp:fallback:0" for="urn:xmpp:reply:0"><body start="0" end="7"></body></fallback><request xmlns="urn:xmpp:receipts"></request>`,
		},
		"a reaction":            {Content{About: about.Said{Reacts: true, ReactsTo: "q", Emoji: []string{"👍"}}}, `<reactions xmlns="urn:xmpp:reactions:0" id="q"><reaction>👍</reaction></reactions>`},
		"a reaction taken away": {Content{About: about.Said{Reacts: true, ReactsTo: "q"}}, `<reactions xmlns="urn:xmpp:reactions:0" id="q"></reactions>`},
		"a retraction":          {Content{About: about.Said{Retracts: true, Takes: `<"m'>`}}, `<retract xmlns="urn:xmpp:message-retract:1" id="&lt;&#34;m&#39;&gt;"></retract>`},
	} {
		b, err := Seal(Envelope{From: alice, Time: time.Now(), Content: c.content})
		if err != nil || !bytes.Contains(b, []byte("<content>"+c.want+"</content>")) {
			t.Errorf("%s is written as\n%s\n%v", name, b, err)
		}
		got, err := Open(b, Parties{From: alice, To: bob})
		if diff := cmp.Diff(c.content.About, got.About); err != nil || diff != "" {
			t.Errorf("%s is read otherwise: %v\n%s", name, err, diff)
		}
	}
}

func TestOptOutIsReadWithItsReason(t *testing.T) {
	for name, c := range map[string]struct{ content, reason string }{
		"XEP-0384":       {"<opt-out xmlns='urn:xmpp:omemo:2'>\n <reason>\n  Sorry, but for compliance reasons I need a permanent,\n  server-side, record.\n </reason>\n</opt-out>", "Sorry, but for compliance reasons I need a permanent, server-side, record."},
		"no reason":      {"<opt-out xmlns='urn:xmpp:omemo:2'/>", ""},
		"a long reason":  {"<opt-out xmlns='urn:xmpp:omemo:2'><reason>" + strings.Repeat("ü", maxReason) + "</reason></opt-out>", strings.Repeat("ü", maxReason/2)},
		"cut in between": {"<opt-out xmlns='urn:xmpp:omemo:2'><reason>a" + strings.Repeat("ü", maxReason) + "</reason></opt-out>", "a" + strings.Repeat("ü", maxReason/2-1)},
	} {
		got, err := Open(envelope(c.content, ""), Parties{From: alice, To: bob})
		if err != nil || !got.OptsOut || got.Reason != c.reason || got.Body != nil {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		b, err := Seal(Envelope{From: alice, Content: got})
		if err != nil {
			t.Fatal(err)
		}
		if again, err := Open(b, Parties{From: alice, To: bob}); err != nil || !again.OptsOut || again.Reason != c.reason {
			t.Errorf("%s is written as\n%s\n%v", name, b, err)
		}
	}
	if got, err := Open(envelope("<opt-out xmlns='urn:x'/>", ""), Parties{From: alice, To: bob}); err != nil || got.OptsOut {
		t.Errorf("of another namespace: %+v, %v", got, err)
	}
}

func FuzzOpen(tf *testing.F) {
	f := mutation.Of(tf)
	f.Add(envelope("<body xmlns='jabber:client'>a</body>", `<rpad>xx</rpad><from jid='`+alice+`'/>`))
	f.Add(envelope("<displayed xmlns='urn:xmpp:chat-markers:0' id='2'/>", `<time stamp='2026-01-01T00:00:00Z'/>`))
	f.Add(envelope("<body xmlns='jabber:client'>a</body>"+replyTo+replyQuote+replaces, `<from jid='`+alice+`'/>`))
	f.Add(envelope("<opt-out xmlns='urn:xmpp:omemo:2'><reason>why</reason></opt-out>", ""))
	f.Add(envelope(reacts+fallbackFor("urn:xmpp:reactions:0")+retracts, `<from jid='`+alice+`'/>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := Open(b, Parties{From: alice, To: bob})
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrParties) {
				t.Fatalf("%v has no class", err)
			}
			return
		}
		if len(got.Body) > len(b) || len(got.Received)+len(got.Displayed) > 2*maxReceipts {
			t.Fatal("more is read than there is")
		}
		if len(got.Reason) > maxReason || got.Reason != "" && !got.OptsOut {
			t.Fatal("a reason is too long, or for nothing")
		}
		said := got.About
		if len(said.Emoji) > carrier.MaxReactions || max(len(said.ReplyTo), len(said.Corrects), len(said.ReactsTo), len(said.Takes)) > maxID {
			t.Fatal("a limit is broken")
		}
		again, err := Seal(Envelope{From: alice, Time: time.Now(), Content: got})
		if err != nil {
			t.Fatal(err)
		}
		if same, err := Open(again, Parties{From: alice, To: bob}); err != nil || !bytes.Equal(same.Body, got.Body) ||
			same.About.ReplyTo != said.ReplyTo || same.About.Corrects != said.Corrects || same.About.Reacts != said.Reacts || same.About.Retracts != said.Retracts {
			t.Fatalf("%+v is written otherwise: %+v, %v", got, same, err)
		}
	})
}
