package printable

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestText_StripsWhatCouldFoolATerminal(t *testing.T) {
	for name, tt := range map[string]struct{ in, want string }{
		"plain":                  {"Grüezi, 你好", "Grüezi, 你好"},
		"lines and tabs":         {"a\nb\tc", "a\nb\tc"},
		"line break of Windows":  {"a\r\nb", "a\nb"},
		"carriage return":        {"<- fake\rreal", "<- fake\uFFFDreal"},
		"escape sequence":        {"\x1b[2Jgone", "\uFFFD[2Jgone"},
		"eight-bit control":      {"\u009b31mred", "\uFFFD31mred"},
		"backspace and bell":     {"a\b\a", "a\uFFFD\uFFFD"},
		"right-to-left override": {"exe.\u202Egnp", "exe.\uFFFDgnp"},
		"line separator":         {"a\u2028b", "a\uFFFDb"},
		"no UTF-8":               {"a\xffb", "a\uFFFDb"},
		"family of joined emoji": {"👩\u200D👧", "👩\u200D👧"},
		"nothing":                {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Text(tt.in); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestText_CutsLongTextBetweenCharacters(t *testing.T) {
	got := Text(strings.Repeat("ü", maxShown))
	if !strings.HasSuffix(got, "ü […]") || len(got) > maxShown+10 {
		t.Errorf("%d bytes, ending in %q", len(got), got[len(got)-10:])
	}
}

func FuzzPrintable(f *testing.F) {
	f.Add("hello")
	f.Add("\x1b]0;title\x07")
	f.Add("\xed\xa0\x80\u200f")
	f.Fuzz(func(t *testing.T, s string) {
		got := Text(s)
		if !utf8.ValidString(got) {
			t.Errorf("%q is no UTF-8", got)
		}
		for _, r := range got {
			if r != '\n' && r != '\t' && unicode.IsControl(r) {
				t.Errorf("%q holds a control character", got)
			}
		}
	})
}
