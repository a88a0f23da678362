package xmpp

import (
	"errors"
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/xmpptest"
)

func TestName_IsSeenByCustomersWhereverTheirClientLooks(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		a := online(t, config(t, s, xmpptest.Customer))
		picture := stanza.New(stanza.NSVCard, "NOTE").WithText("an admin wrote this")
		conf := config(t, s, xmpptest.Business)
		first := online(t, conf)
		if _, err := first.questions.set(t.Context(), stanza.New(stanza.NSVCard, "vCard").With(picture)); err != nil {
			t.Fatal(err)
		}
		first.stop()
		conf.Name = "Acme <Support> & Co."
		b := online(t, conf)
		own := b.addr.Of(b.addr.Own)
		eventually(t, "the nickname", func() bool {
			item, err := a.item(t.Context(), own, stanza.NSNick, "")
			return err == nil && stanza.Nickname(item) == conf.Name
		})
		eventually(t, "the vCard", func() bool {
			card, err := a.vCard(t.Context(), own)
			return err == nil && stanza.VCardName(card) == conf.Name && stanza.TextOf(card, stanza.NSVCard, "NOTE") == picture.Text
		})
		if name, err := a.Nickname(t.Context(), b.addr.Own); err != nil || name != conf.Name {
			t.Errorf("the name is %q, %v", name, err)
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
