package quote

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/relaykeep/relaykeep/test/fuzz/mutation"
)

func TestQuote_OfEachClientIsRecognised(t *testing.T) {
	t.Parallel()
	const long = "Our shop is open from nine to six on weekdays, and on Saturdays from ten until two o'clock, except in August."
	for name, tc := range map[string]struct{ text, said, rest string }{
		"Dino, Gajim":               {"> Hello\nHi there", "Hello", "Hi there"},
		"several lines":             {"> one\n> two\nthree", "one\ntwo", "three"},
		"Converse":                  {"> +4930222222@relay.test:\n> Hello\nHi", "Hello", "Hi"},
		"Converse, shortened":       {"> Acme:\n> " + long[:80] + "…\nThanks", long, "Thanks"},
		"Converse, a reaction":      {"> one two\n👍", "one\n\ntwo", "👍"},
		"Psi+, wrapped":             {"> Our shop is open from nine to six\n> on weekdays\n\nThanks", "Our shop is open from nine to six on weekdays", "Thanks"},
		"Psi+, with blank lines":    {"> one\n\n> two\n\nthree", "one\n\ntwo", "three"},
		"Psi+, in a chat":           {"\n» one\n» two\nThen I come at six.", "one\ntwo", "Then I come at six."},
		"Psi+, of one that quotes":  {"\n» > Hello\n» Hi\nyes?", "> Hello\nHi", "yes?"},
		"of a message that quotes":  {"> > Hello\n> Hi\nyes?", "> Hello\nHi", "yes?"},
		"of one without its quote":  {"> Hi\nyes?", "> Hello\nHi", "yes?"},
		"of one that we quoted for": {"> > Hello\n> Hi\nyes?", "Hi", "yes?"},
		"carriage returns":          {"> Hello\r\nHi", "Hello", "Hi"},
		"no space":                  {">Hello\nHi", "Hello", "Hi"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q, ok := Of(tc.text)
			if !ok || q.Rest != tc.rest || !q.Repeats(tc.said) {
				t.Errorf("quote %t, rest %q, repeats %t", ok, q.Rest, q.Repeats(tc.said))
			}
		})
	}
}

func TestQuote_ThatRepeatsSomethingElseIsToldFromIt(t *testing.T) {
	t.Parallel()
	for text, said := range map[string]string{
		"> we owe you 1000\nthanks":         "we owe you 100",
		"> we owe…\nthanks":                 "we owe you 100, and shall pay it in June",
		"> Acme:\n> we owe you\nthanks":     "Acme",
		"> the whole of it\nthanks":         "the whole",
		"> \nthanks":                        "",
		"> a\n> > b\nthanks":                "b",
		"> you may have it all…\nall of it": "you may",
	} {
		if q, ok := Of(text); ok && q.Repeats(said) {
			t.Errorf("%q repeats %q", text, said)
		}
	}
	for _, text := range []string{"", "no quote", "> only a quote", "> only\n> quotes\n\n", "text\n> first", " > indented\nx", " » indented\nx", "\n\n»"} {
		if q, ok := Of(text); ok {
			t.Errorf("%q is a quote above %q", text, q.Rest)
		}
	}
}

func TestIn_RangeCountsCodePointsOrBytesOrIsIgnored(t *testing.T) {
	t.Parallel()
	const text = "> Grüße 🧛🏾\n> of mine\nHi"
	for name, tc := range map[string]struct {
		length int
		rest   string
	}{
		"code points":            {utf8.RuneCountInString("> Grüße 🧛🏾\n"), "> of mine\nHi"},
		"bytes":                  {len("> Grüße 🧛🏾\n"), "> of mine\nHi"},
		"without the line's end": {utf8.RuneCountInString("> Grüße 🧛🏾"), "> of mine\nHi"},
		"inside of a line":       {5, "Hi"},
		"inside of the answer":   {utf8.RuneCountInString(text) - 1, "Hi"},
		"everything":             {utf8.RuneCountInString(text), "Hi"},
		"beyond the end":         {1 << 30, "Hi"},
		"nothing":                {0, "Hi"},
	} {
		if q, ok := In(text, tc.length); !ok || q.Rest != tc.rest {
			t.Errorf("%s: %t, rest %q", name, ok, q.Rest)
		}
	}
	if q, ok := In("Do not pay\nmore", 11); ok {
		t.Errorf("a line that is not quoted was cut off, rest %q", q.Rest)
	}
}

func TestWrite_IsReadAsAQuoteOfTheSame(t *testing.T) {
	t.Parallel()
	for _, said := range []string{"Hello", "one\ntwo\n\nthree", "> Hello\nHi", strings.Repeat("ü", 1000), " padded "} {
		text := Write(said) + "answer"
		if q, ok := Of(text); !ok || q.Rest != "answer" || !q.Repeats(said) {
			t.Errorf("%q is read as %+v", text, q)
		}
	}
	if got := Write(" \n "); got != "" {
		t.Errorf("a blank text is quoted as %q", got)
	}
	if n := utf8.RuneCountInString(Write(strings.Repeat("ü", 1000))); n > maxQuoted+len("> …\n") {
		t.Errorf("a long text is quoted with %d characters", n)
	}
}

// FuzzQuote holds that whatever a customer writes, nothing but whole quoted lines is cut off,
// and what is written is read again.
func FuzzQuote(tf *testing.F) {
	f := mutation.Of(tf)
	f.Add("> Hello\nHi", "Hello", 8)
	f.Add("> Acme:\n> Hello there, dear…\n\nHi", "> x\nHello there, dear customer", 1)
	f.Add("\n» Hello\n» there\nHi", "Hello\nthere", 9)
	f.Fuzz(func(t *testing.T, text, said string, length int) {
		for _, split := range []func() (Quote, bool){func() (Quote, bool) { return Of(text) }, func() (Quote, bool) { return In(text, length) }} {
			q, ok := split()
			if !ok {
				continue
			}
			above, found := strings.CutSuffix(text, q.Rest)
			if !found || strings.TrimSpace(q.Rest) == "" {
				t.Fatalf("rest %q is not the end of %q", q.Rest, text)
			}
			for line := range strings.SplitSeq(above, "\n") {
				if strings.TrimSpace(line) != "" && !marked(line) {
					t.Errorf("%q was cut off", line)
				}
			}
			_, _ = q.Repeats(said), q.Author()
		}
		if written := Write(said); written != "" && utf8.ValidString(said) {
			if q, ok := Of(written + "x"); !ok || q.Rest != "x" {
				t.Errorf("%q is read as %+v", written, q)
			}
		}
	})
}
