package stanza

import (
	"encoding/xml"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/xmpptest"
	"github.com/relaykeep/relaykeep/test/fuzz/mutation"
)

// parse reads the first element of text as a client's stream would have it.
func parse(text string) (*Element, error) {
	d := xml.NewDecoder(strings.NewReader("<stream:stream xmlns='" + NSClient + "' xmlns:stream='" + NSStream + "'>" + text))
	for {
		tok, err := d.Token()
		if err != nil {
			return nil, err
		}
		if start, ok := tok.(xml.StartElement); ok && start.Name.Space != NSStream {
			return ReadElement(d, start)
		}
	}
}

func mustParse(t testing.TB, text string) *Element {
	t.Helper()
	e, err := parse(text)
	if err != nil {
		t.Fatalf("parsing %s: %v", text, err)
	}
	return e
}

var compareElements = cmp.Options{cmp.AllowUnexported(Element{})}

func TestElementIsReadAsItWasWritten(t *testing.T) {
	want := New(NSClient, "message", "to", "<&'\">\n\t", "type", "").With(
		New(NSClient, "body").WithText("a < b & c > \"d\" 'e'\u2028\U0001F600\r\n"),
		New("urn:x", "x").With(New("urn:x", "same"), New(NSClient, "back")),
	)
	got := mustParse(t, string(want.Bytes()))
	if diff := cmp.Diff(want, got, compareElements); diff != "" {
		t.Error(diff)
	}
}

func TestText_InvalidInXMLIsReplaced(t *testing.T) {
	e := mustParse(t, string(New(NSClient, "body").WithText("a\x00b\xffc\x1b").Bytes()))
	if e.Text != "a\uFFFDb\uFFFDc\uFFFD" {
		t.Errorf("read %q", e.Text)
	}
}

func TestHostileXMLIsRefused(t *testing.T) {
	tests := map[string]struct {
		text string
		want error // nil: any
	}{
		"comment":             {"<a><!-- hi --></a>", ErrForbiddenXML},
		"processing":          {"<a><?php x ?></a>", ErrForbiddenXML},
		"document type":       {"<a><!DOCTYPE a [<!ENTITY b 'c'>]></a>", ErrForbiddenXML},
		"entity":              {"<a>&b;</a>", nil},
		"entity of attribute": {"<a b='&c;'/>", nil},
		"crossed tags":        {"<a><b></a></b>", nil},
		"not UTF-8":           {"<a>\xff\xfe</a>", nil},
		"cut off":             {"<a><b>", nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parse(tc.text)
			if err == nil || tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("error is %v, want %v", err, tc.want)
			}
		})
	}
}

func TestElement_PastABoundDiffersFromABrokenOne(t *testing.T) {
	many := strings.Repeat
	for text, want := range map[string]Drop{
		many("<a>", maxDepth+1) + many("</a>", maxDepth+1): DropTooDeep,
		"<a>" + many("<b/>", MaxElements) + "</a>":         DropManyElements,
		"<a><b" + attributes(maxAttrs+1) + "/></a>":        DropManyAttributes,
	} {
		_, err := parse(text)
		if over := (*Oversize)(nil); !errors.As(err, &over) || over.Reason != want {
			t.Errorf("error is %v, want %s", err, want)
		}
	}
	if _, err := parse(many("<a>", maxDepth) + many("</a>", maxDepth)); err != nil {
		t.Errorf("the deepest element allowed: %v", err)
	}
}

func attributes(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(" a" + strings.Repeat("x", i+1) + "='1'")
	}
	return b.String()
}

// named says whether all names within an element are names without a prefix.
func named(e *Element) bool {
	_, err := parse("<" + e.Name.Local + "/>")
	return err == nil && !slices.ContainsFunc(e.Children, func(c *Element) bool { return !named(c) })
}

func FuzzElement(tf *testing.F) {
	f := mutation.Of(tf)
	for _, s := range xmpptest.Stanzas() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := parse(text)
		if err != nil {
			return
		}
		// Prefixes are not written: prefixed attributes are left out, and what is a name
		// behind a prefix alone is none without. Nothing of ours has either.
		if !named(e) {
			return
		}
		again, err := parse(string(e.Bytes()))
		if err != nil {
			t.Fatalf("what was read cannot be read again: %v\n%s", err, e.Bytes())
		}
		if string(again.Bytes()) != string(e.Bytes()) {
			t.Fatalf("written differently:\n%s\n%s", e.Bytes(), again.Bytes())
		}
	})
}
