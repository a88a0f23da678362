package xmpp

import (
	"bytes"
	"encoding/base64"
	"errors"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/xmpptest"
	"github.com/relaykeep/relaykeep/relay/media"
)

// picture is a picture of one color.
func picture(t *testing.T, c color.Color) media.Picture {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 64, 48))
	draw.Draw(img, img.Bounds(), image.NewUniform(c), image.Point{}, draw.Src)
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	p, err := media.ReadPicture(base64.StdEncoding.EncodeToString(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// shown is what somebody else sees of an account, wherever their client looks.
type shown struct{ Nick, FullName, CardNick, CardPicture, Picture, Data, Note string }

func (n *node) sees(t *testing.T, own string) (s shown) {
	t.Helper()
	item := func(node string) *stanza.Element {
		it, err := n.item(t.Context(), own, node, "")
		if err != nil && !notShown(err) {
			t.Fatal(err)
		}
		return it
	}
	s.Nick = stanza.Nickname(item(stanza.NSNick))
	if info := item(stanza.NSPictures).Child(stanza.NSPictures, "metadata").Child(stanza.NSPictures, "info"); info != nil {
		s.Picture = info.Attr("id")
	}
	s.Data = stanza.TextOf(item(stanza.NSPicture), stanza.NSPicture, "data")
	card, err := n.vCard(t.Context(), own)
	if err != nil && !notShown(err) {
		t.Fatal(err)
	}
	s.FullName, s.CardNick = stanza.TextOf(card, stanza.NSVCard, "FN"), stanza.TextOf(card, stanza.NSVCard, "NICKNAME")
	s.Note, s.CardPicture = stanza.TextOf(card, stanza.NSVCard, "NOTE"), stanza.VCardPicture(card)
	return s
}

// shows is what others see of a business with that name and picture.
func shows(name string, p media.Picture, note string) shown {
	id := stanza.PictureID(p)
	s := shown{Nick: name, FullName: name, CardNick: name, CardPicture: id, Picture: id, Note: note}
	if id != "" {
		s.Data = stanza.Encode(p.Data)
	}
	return s
}

// TestProfile_IsSeenAsLongAsTheBusinessHasOne changes a business's profile between its links.
func TestProfile_IsSeenAsLongAsTheBusinessHasOne(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		a := online(t, config(t, s, xmpptest.Customer))
		conf := config(t, s, xmpptest.Business)
		const note = "an admin wrote this"
		first := online(t, conf)
		card := stanza.New(stanza.NSVCard, "vCard").With(stanza.New(stanza.NSVCard, "NOTE").WithText(note))
		if _, err := first.questions.set(t.Context(), card); err != nil {
			t.Fatal(err)
		}
		first.stop()
		red, blue := picture(t, color.RGBA{R: 255, A: 255}), picture(t, color.RGBA{B: 255, A: 255})
		for what, now := range []struct {
			name string
			p    media.Picture
		}{{"Acme <Support> & Co.", red}, {"Acme", blue}, {"", blue}, {"Acme", media.Picture{}}, {}} {
			conf.Profile = Profile{Name: now.name, Picture: now.p}
			b := online(t, conf)
			own := b.addr.Of(b.addr.Own)
			var got shown
			want := shows(now.name, now.p, note)
			t.Logf("profile %d", what)
			eventually(t, "the profile", func() bool {
				got = a.sees(t, own)
				return got == want
			})
			if name, err := a.Nickname(t.Context(), b.addr.Own); name != now.name || (name == "") != errors.Is(err, carrier.ErrNotFound) {
				t.Errorf("the name is %q, %v", name, err)
			}
			eventually(t, "the note of what is published", func() bool {
				item, err := b.item(t.Context(), "", stanza.NSProfile, "")
				return err == nil && slices.Equal(stanza.ParsePublished(item), []stanza.Profile{{Name: now.name, Picture: want.Picture}})
			})
			if _, err := a.item(t.Context(), own, stanza.NSProfile, ""); !notShown(err) {
				t.Errorf("others see what the relay notes: %v", err)
			}
			b.stop()
		}
	})
}

// showing returns a link of the business's once customers see the whole profile.
func showing(t *testing.T, s server, a *node, p Profile) *node {
	t.Helper()
	conf := config(t, s, xmpptest.Business)
	conf.Profile = p
	b := online(t, conf)
	want := shows(p.Name, p.Picture, "")
	eventually(t, "the profile", func() bool { return a.sees(t, b.addr.Of(b.addr.Own)) == want })
	return b
}

func TestProfile_OfAnAdminIsLeftAlone(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		a := online(t, config(t, s, xmpptest.Customer))
		b := showing(t, s, a, Profile{Name: "Acme", Picture: picture(t, color.Black)})
		admins := Profile{Name: "An admin's", Picture: picture(t, color.White)}
		was, err := b.noted(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		b.publishProfile(t.Context(), admins)
		if !b.note(t.Context(), was[0], was[1:]...) { // an admin's client makes no note
			t.Fatal("there is no note")
		}
		step := func(what string, p Profile, want shown) {
			b.publishProfile(t.Context(), p)
			if got := a.sees(t, b.addr.Of(b.addr.Own)); got != want {
				t.Errorf("%s: others see another profile: %s", what, cmp.Diff(want, got))
			}
		}
		untouched := shows(admins.Name, admins.Picture, "")
		step("the relay's was replaced", Profile{}, untouched)
		if err := b.retract(t.Context(), stanza.NSProfile, stanza.ItemCurrent); err != nil {
			t.Fatal(err)
		}
		step("the relay published nothing", Profile{}, untouched)
		step("only a name", Profile{Name: "Acme"}, shows("Acme", admins.Picture, ""))
	})
}

// TestProfile_ThatWasNotReplacedEverywhereIsRemovedLater stops a change half-way: its note is there, and
// nothing else of it.
func TestProfile_ThatWasNotReplacedEverywhereIsRemovedLater(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		a := online(t, config(t, s, xmpptest.Customer))
		old := Profile{Name: "Acme", Picture: picture(t, color.Black)}
		b := showing(t, s, a, old)
		was := stanza.Profile{Name: old.Name, Picture: stanza.PictureID(old.Picture)}
		if !b.note(t.Context(), stanza.Profile{Name: "Acme Ltd", Picture: "no such picture"}, was) {
			t.Fatal("there is no note")
		}
		b.publishProfile(t.Context(), Profile{})
		if got := a.sees(t, b.addr.Of(b.addr.Own)); got != (shown{}) {
			t.Errorf("others see a profile: %s", cmp.Diff(shown{}, got))
		}
	})
}

func TestProfile_WithAPictureThatCannotBeUsedKeepsTheOneBefore(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		a := online(t, config(t, s, xmpptest.Customer))
		old := Profile{Name: "Acme", Picture: picture(t, color.Black)}
		b := showing(t, s, a, old)
		for _, step := range []struct{ now, seen Profile }{
			{Profile{Name: "Acme Ltd", KeepPicture: true}, Profile{Name: "Acme Ltd", Picture: old.Picture}},
			{Profile{KeepPicture: true}, Profile{Picture: old.Picture}},
			{Profile{}, Profile{}},
		} {
			b.publishProfile(t.Context(), step.now)
			want := shows(step.seen.Name, step.seen.Picture, "")
			if got := a.sees(t, b.addr.Of(b.addr.Own)); got != want {
				t.Errorf("others see another profile: %s", cmp.Diff(want, got))
			}
		}
	})
}

func TestNickname_IsTheOneInTheVCardIfThereIsNoOther(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		a, b := online(t, config(t, s, xmpptest.Customer)), online(t, config(t, s, xmpptest.Business))
		if name, err := b.Nickname(t.Context(), a.addr.Own); !errors.Is(err, carrier.ErrNotFound) {
			t.Errorf("who has none is called %q, %v", name, err)
		}
		card := stanza.New(stanza.NSVCard, "vCard").With(stanza.New(stanza.NSVCard, "FN").WithText("Ada\nLovelace"))
		if _, err := a.questions.set(t.Context(), card); err != nil {
			t.Fatal(err)
		}
		if name, err := b.Nickname(t.Context(), a.addr.Own); err != nil || name != "Ada Lovelace" {
			t.Errorf("the name is %q, %v", name, err)
		}
	})
}
