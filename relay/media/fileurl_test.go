package media_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/media"
)

const (
	iv12 = "000102030405060708090a0b"
	key  = "00000000000000000000000000000000000000000000000000000000000000ff"
)

func TestFileURL_IsReadAsItWasWritten(t *testing.T) {
	l := media.NewFileURL()
	l.URL = "https://upload.relay.test:5281/file/abc/photo.jpg"
	got, err := media.ParseFileURL(l.Text())
	check(t, err)
	if got.URL != l.URL || got.Key != l.Key || string(got.IV) != string(l.IV) || got.Name() != "photo.jpg" {
		t.Errorf("read %+v", got)
	}
}

func TestFileURL_OfOtherClients(t *testing.T) {
	for name, text := range map[string]string{
		"plain":          "aesgcm://h.test/a.jpg#" + iv12 + key,
		"old iv":         "aesgcm://h.test/a.jpg#" + iv12 + "00000000" + key,
		"capitals":       "AESGCM://h.test/a.jpg#" + strings.ToUpper(iv12+key),
		"spaces outside": "  aesgcm://h.test/a.jpg#" + iv12 + key + "\n",
		"with a port":    "aesgcm://h.test:443/a.jpg#" + iv12 + key,
	} {
		t.Run(name, func(t *testing.T) {
			l, err := media.ParseFileURL(text)
			if err != nil || l.Key[31] != 0xff || l.Name() != "a.jpg" || !strings.HasPrefix(l.URL, "https://h.test") {
				t.Errorf("read %+v: %v", l, err)
			}
		})
	}
}

func TestFileURL_OtherTextsAreNone(t *testing.T) {
	for name, text := range map[string]string{
		"empty":          "",
		"talk about one": "look: aesgcm://h.test/a.jpg#" + iv12 + key,
		"words below":    "aesgcm://h.test/a.jpg#" + iv12 + key + "\nnice",
		"words behind":   "aesgcm://h.test/a.jpg#" + iv12 + key + " nice",
		"other scheme":   "https://h.test/a.jpg#" + iv12 + key,
		"no key":         "aesgcm://h.test/a.jpg",
		"short key":      "aesgcm://h.test/a.jpg#" + iv12 + key[2:],
		"no hex":         "aesgcm://h.test/a.jpg#" + strings.Repeat("g", 88),
		"no host":        "aesgcm:///a.jpg#" + iv12 + key,
		"password":       "aesgcm://user:secret@h.test/a.jpg#" + iv12 + key,
		"space":          "aesgcm://h.test/a b.jpg#" + iv12 + key,
		"too long":       "aesgcm://h.test/" + strings.Repeat("a", 5000) + "#" + iv12 + key,
	} {
		t.Run(name, func(t *testing.T) {
			if l, err := media.ParseFileURL(text); !errors.Is(err, media.ErrNoFileURL) {
				t.Errorf("read as %q", l.URL)
			}
		})
	}
}

func TestNamesAreMadeHarmless(t *testing.T) {
	for in, want := range map[string]string{
		"a.jpg": "a.jpg", "../../etc/passwd": "passwd", `c:\x\b.doc`: "b.doc", "..": "", "": "",
		"x\r\nSet-Cookie: y.txt": "xSet-Cookie: y.txt", "ä ö.pdf": "ä ö.pdf",
		strings.Repeat("ä", 200): strings.Repeat("ä", 120), "a\u202egpj.exe": "agpj.exe",
	} {
		if got := media.CleanName(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func FuzzParseFileURL(f *testing.F) {
	f.Add("aesgcm://h.test/a.jpg#" + iv12 + key)
	f.Add("aesgcm://h.test:1/%2e%2e/ä#" + iv12 + "00000000" + key + "\ndata:")
	f.Add("aesgcm://[::1]/x?y=z#" + iv12 + key)
	f.Fuzz(func(t *testing.T, text string) {
		l, err := media.ParseFileURL(text)
		if err != nil {
			return
		}
		if strings.ContainsAny(l.Name(), "/\\\n") || len(l.Name()) > media.MaxName {
			t.Errorf("name %q", l.Name())
		}
		again, err := media.ParseFileURL(l.Text())
		if err != nil || again.URL != l.URL || again.Key != l.Key {
			t.Errorf("%q became %q: %v", text, l.Text(), err)
		}
	})
}

func TestText_IsSplitIntoFilesAndCaptions(t *testing.T) {
	a, b := "aesgcm://h.test/a.jpg#"+iv12+key, "aesgcm://h.test/b.jpg#"+iv12+key
	for text, want := range map[string][]media.Part{
		"hello\n there":              {{Text: "hello\n there"}},
		a:                            {{URL: a}},
		" " + a + "\r\n":             {{URL: a}},
		a + "\ndata:image/jpeg,AAAA": {{URL: a}},
		a + "\ndata:image/jpeg,AAAA\nthe\n\ninvoice": {{URL: a, Text: "the\n\ninvoice"}},
		a + "\nthe invoice\ndata: see page 3":        {{URL: a, Text: "the invoice\ndata: see page 3"}},
		a + "\n" + b:                                 {{URL: a}, {URL: b}},
		a + "\none\n" + b + "\ntwo":                  {{URL: a, Text: "one"}, {URL: b, Text: "two"}},
		"look:\n" + a:                                {{Text: "look:"}, {URL: a}},
		"look: " + a:                                 {{Text: "look: " + a}},
		"":                                           {{}},
	} {
		if got := media.Split(text); !slices.Equal(got, want) {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
	many := media.Split(strings.Repeat(a+"\n", 1000))
	if len(many) != 32 || strings.Count(many[31].Text, a) != 968 {
		t.Errorf("1,000 links became %d parts", len(many))
	}
}

func FuzzSplit(f *testing.F) {
	f.Add("x\naesgcm://h.test/a.jpg#" + iv12 + key + "\ndata:\ny")
	f.Fuzz(func(t *testing.T, text string) {
		size := 0
		for _, p := range media.Split(text) {
			size += len(p.URL) + len(p.Text)
			if _, err := media.ParseFileURL(p.URL); p.URL != "" && err != nil {
				t.Errorf("%q is no link", p.URL)
			}
		}
		if size > len(text) {
			t.Errorf("%d bytes became %d", len(text), size)
		}
	})
}
