package media_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/media"
)

const (
	iv12 = "000102030405060708090a0b"
	key  = "00000000000000000000000000000000000000000000000000000000000000ff"
)

func TestLinkIsReadAsItWasWritten(t *testing.T) {
	l := media.NewLink()
	l.URL = "https://upload.relay.test:5281/file/abc/photo.jpg"
	got, err := media.ParseLink(l.Text())
	check(t, err)
	if got.URL != l.URL || got.Key != l.Key || string(got.IV) != string(l.IV) || got.Name() != "photo.jpg" {
		t.Errorf("read %+v", got)
	}
}

func TestLinksOfOtherClients(t *testing.T) {
	for name, text := range map[string]string{
		"plain":          "aesgcm://h.test/a.jpg#" + iv12 + key,
		"old iv":         "aesgcm://h.test/a.jpg#" + iv12 + "00000000" + key,
		"thumbnail":      "aesgcm://h.test/a.jpg#" + iv12 + key + "\ndata:image/jpeg,AAAA",
		"capitals":       "AESGCM://h.test/a.jpg#" + strings.ToUpper(iv12+key),
		"spaces outside": "  aesgcm://h.test/a.jpg#" + iv12 + key + "\n",
		"with a port":    "aesgcm://h.test:443/a.jpg#" + iv12 + key,
	} {
		t.Run(name, func(t *testing.T) {
			l, err := media.ParseLink(text)
			if err != nil || l.Key[31] != 0xff || l.Name() != "a.jpg" || !strings.HasPrefix(l.URL, "https://h.test") {
				t.Errorf("read %+v: %v", l, err)
			}
		})
	}
}

func TestOtherTextsAreNoLinks(t *testing.T) {
	for name, text := range map[string]string{
		"empty":          "",
		"talk about one": "look: aesgcm://h.test/a.jpg#" + iv12 + key,
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
			if l, err := media.ParseLink(text); !errors.Is(err, media.ErrNoLink) {
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

func FuzzParseLink(f *testing.F) {
	f.Add("aesgcm://h.test/a.jpg#" + iv12 + key)
	f.Add("aesgcm://h.test:1/%2e%2e/ä#" + iv12 + "00000000" + key + "\ndata:")
	f.Add("aesgcm://[::1]/x?y=z#" + iv12 + key)
	f.Fuzz(func(t *testing.T, text string) {
		l, err := media.ParseLink(text)
		if err != nil {
			return
		}
		if strings.ContainsAny(l.Name(), "/\\\n") || len(l.Name()) > media.MaxName {
			t.Errorf("name %q", l.Name())
		}
		again, err := media.ParseLink(l.Text())
		if err != nil || again.URL != l.URL || again.Key != l.Key {
			t.Errorf("%q became %q: %v", text, l.Text(), err)
		}
	})
}
