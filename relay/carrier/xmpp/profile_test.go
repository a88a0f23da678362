package xmpp

import (
	"bytes"
	"encoding/base64"
	"errors"
	"image"
	"image/color"
	"image/draw"
	"image/png"
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
			conf.Name, conf.Picture = now.name, now.p
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
				return err == nil && stanza.ParsePublished(item) == stanza.Published{Name: now.name, Picture: want.Picture}
			})
			if _, err := a.item(t.Context(), own, stanza.NSProfile, ""); !notShown(err) {
				t.Errorf("others see what the relay notes: %v", err)
			}
			b.stop()
		}
	})
}

func TestProfile_OfAnAdminIsLeftAlone(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		a := online(t, config(t, s, xmpptest.Customer))
		conf := config(t, s, xmpptest.Business)
		admins := conf
		admins.Name, admins.Picture = "An admin's", picture(t, color.White)
		b := online(t, admins)
		own := b.addr.Of(b.addr.Own)
		want := shows(admins.Name, admins.Picture, "")
		eventually(t, "the admin's profile", func() bool { return a.sees(t, own) == want })
		eventually(t, "the note", func() bool {
			_, err := b.item(t.Context(), "", stanza.NSProfile, "")
			return err == nil
		})
		if err := b.retract(t.Context(), stanza.NSProfile, stanza.ItemCurrent); err != nil { // now nobody knows that it is ours
			t.Fatal(err)
		}
		b.stop()
		for _, name := range []string{"", "Acme"} {
			conf.Name = name
			b := online(t, conf)
			if name != "" {
				want.Nick, want.FullName, want.CardNick = name, name, name
				eventually(t, "the name", func() bool { return a.sees(t, own) == want })
			}
			b.publishProfile(t.Context())
			if got := a.sees(t, own); got != want {
				t.Errorf("others see another profile: %s", cmp.Diff(want, got))
			}
			b.stop()
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
