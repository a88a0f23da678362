package message_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// sharing runs a test of a customer whose client speaks omemo:2, and of a relay with files.
func sharing(t *testing.T, test func(t *testing.T, w *world, a *person)) {
	dir := t.TempDir()
	inBubbleWith(t, func(w *world) {
		w.web = newWeb()
		w.account.Own = w.number
		w.account.Address = func(n phone.Number) string { return n.E164() + "@" + domain }
	}, func(t *testing.T, w *world) {
		w.formats = []carrier.Format{carrier.OMEMO2}
		a := w.customer(dir, alice)
		a.says(w.number, "hello")
		w.take()
		test(t, w, a)
	})
}

// shares sends a text with what is said of its files inside the encryption.
func (p *person) shares(text string, files ...carrier.SharedFile) {
	p.t.Helper()
	_, err := p.Share(context.Background(), p.world.number, text, files...)
	check(p.t, err)
}

// handsInCBC puts a file on the web as Kaidan does.
func (p *person) handsInCBC(at string, content []byte) media.FileURL {
	p.t.Helper()
	l := media.NewFileURL()
	l.URL, l.IV, l.CBC = at, make([]byte, media.CBCIVSize), true
	_, _ = rand.Read(l.IV)
	block, err := aes.NewCipher(l.Key[:])
	check(p.t, err)
	n := aes.BlockSize - len(content)%aes.BlockSize
	sealed := append(bytes.Clone(content), bytes.Repeat([]byte{byte(n)}, n)...)
	cipher.NewCBCEncrypter(block, l.IV).CryptBlocks(sealed, sealed)
	p.world.web.change(func() { p.world.web.files[at] = sealed })
	return l
}

func described(l media.FileURL, name string, content []byte) carrier.SharedFile {
	sum := sha256.Sum256(content)
	return carrier.SharedFile{Name: name, MIME: "application/x-own", Size: int64(len(content)), SHA256: sum[:], Link: l.Text()}
}

func TestSharedFile_InsideTheEncryptionReachesTheBusiness(t *testing.T) {
	const random, recording = "https://relay.test/upload/1/Zk3", "20260102_030405.m4a"
	sound, unknown := []byte("\x00\x00\x00\x18ftypM4A and what was said"), []byte{0, 1, 2, 3}
	lie := func(f carrier.SharedFile) carrier.SharedFile {
		f.Size++
		return f
	}
	without := func(f carrier.SharedFile) carrier.SharedFile {
		f.SHA256 = nil
		return f
	}
	for name, tt := range map[string]struct {
		share func(a *person)
		want  event
	}{
		"as Kaidan does": {
			func(a *person) { a.shares(random, described(a.handsInCBC(random, sound), recording, sound)) },
			event{Type: "audio", File: file{MIME: "audio/mp4", Voice: true}},
		},
		"of an unknown type": {
			func(a *person) { a.shares("", described(a.hands(random, unknown), "a.own", unknown)) },
			event{Type: "document", File: file{MIME: "application/x-own", Filename: "a.own"}},
		},
		"beside its link": {
			func(a *person) {
				l := a.hands(random, unknown)
				a.shares(l.Text(), described(l, "a.own", unknown))
			},
			event{Type: "document", File: file{MIME: "application/x-own", Filename: "a.own"}},
		},
		"in CBC, without a hash": {
			func(a *person) { a.shares("", without(described(a.handsInCBC(random, sound), recording, sound))) },
			event{Type: "unsupported", Code: 131052},
		},
		"in CBC, of another size": {
			func(a *person) { a.shares("", lie(described(a.handsInCBC(random, sound), recording, sound))) },
			event{Type: "unsupported", Code: 131052},
		},
		"in CBC, another file": {
			func(a *person) { a.shares("", described(a.handsInCBC(random, unknown), recording, sound)) },
			event{Type: "unsupported", Code: 131052},
		},
		"described as another file": {
			func(a *person) { a.shares("", described(a.hands(random, unknown), recording, sound)) },
			event{Type: "document", File: file{MIME: "application/octet-stream", Filename: "Zk3"}},
		},
		"elsewhere": {
			func(a *person) {
				a.shares("", described(a.hands("https://evil.test/x", unknown), "a.own", unknown))
			},
			event{Type: "unsupported", Code: 131052},
		},
	} {
		t.Run(name, func(t *testing.T) {
			sharing(t, func(t *testing.T, w *world, a *person) {
				tt.share(a)
				elapse(time.Minute)
				events := w.take()
				if len(events) != 1 {
					t.Fatalf("the business got %+v", events)
				}
				got := event{Type: events[0].Type, Code: events[0].Code, Text: events[0].Text, Clear: events[0].Clear, File: events[0].File}
				got.File.ID, got.File.SHA256 = "", ""
				if got != tt.want {
					t.Errorf("the business got %+v, want %+v", got, tt.want)
				}
				if tt.want.Code != 0 {
					w.noFiles()
				}
			})
		})
	}
}

// TestSharedFile_OfTheBusinessHoldsItsKeyOnlyInside has a customer of each format get a file.
func TestSharedFile_OfTheBusinessHoldsItsKeyOnlyInside(t *testing.T) {
	sharing(t, func(t *testing.T, w *world, a *person) {
		w.sends(message.Attachment{To: a.number, Kind: media.Image, ID: w.keeps("image/png", picture())})
		w.take()
		got := a.got()
		if len(got) != 1 || !bytes.Equal(a.opens(got[0]), picture()) {
			t.Errorf("the customer got %q", got)
		}
	})
}

// TestSharedFile_DescribedInClearCountsForItsContentOnly has the carrier describe a file that a link in a
// legacy message names.
func TestSharedFile_DescribedInClearCountsForItsContentOnly(t *testing.T) {
	content := []byte{0, 1, 2, 3}
	for name, tt := range map[string]struct {
		name        string
		of          []byte
		file, clear string
	}{
		"the file":       {"a.own", content, "a.own", "document.filename"},
		"another file":   {"a.own", []byte("x"), "Zk3", ""},
		"a type by name": {"a.pdf", content, "a.pdf", "document.filename"},
	} {
		t.Run(name, func(t *testing.T) {
			withFiles(t, func(t *testing.T, w *world, a *person) {
				l := a.hands("https://relay.test/upload/1/Zk3", content)
				var e carrier.Envelope
				a.carrier.Bounce(func(o carrier.Outgoing) (back, temporary bool) {
					e = o.Envelope
					return true, false
				})
				_, err := a.Send(t.Context(), w.number, l.Text())
				check(t, err)
				a.carrier.Bounce(nil)
				said := described(l, tt.name, tt.of)
				said.Link = ""
				check(t, w.brings(carrier.Message{ID: "1", From: a.number, Envelope: e, Time: time.Now(), Files: []carrier.SharedFile{said}}))
				events := w.take()
				if len(events) != 1 || events[0].File.Filename != tt.file || events[0].Clear != tt.clear || events[0].File.MIME != "application/octet-stream" {
					t.Errorf("the business got %+v", events)
				}
			})
		})
	}
}
