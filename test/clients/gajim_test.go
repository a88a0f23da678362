//go:build clients

package clients_test

import (
	"testing"

	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
	"github.com/relaykeep/relaykeep/test/clients/gajim"
)

func TestGajim(t *testing.T) {
	t.Parallel()
	s, ip := desktopScene(t, "Gajim")
	_, _, ca := s.server.Where()
	c, err := gajim.Start(s.ctx, gajim.Config{JID: number + "@" + s.domain, Password: password, Domain: s.domain, Address: ip, CA: ca})
	s.seats(c, err)
	s.waitKeys(number)
	s.conversation(expectations{
		businessFirst: unconfirmed, texts: unconfirmed, replyOut: unconfirmed, fileOut: unconfirmed, reactionIn: cannot,
	})
	// Its user's first answer shows that the business's first message arrived.
	first := s.business.WaitUpdate("the first message delivered", func(u webhooktest.Update) bool { return u.Status == "delivered" })
	if first.ID != s.business.Updates()[0].ID {
		t.Errorf("the first message is not the one that was confirmed: %+v", first)
	}
	// What arrives while another chat is open is marked as read once its user opens the chat.
	id := s.business.Say(number, reminder)
	check(t, s.status(id, "sent"))
	check(t, c.Open(s.ctx, s.business.JID()))
	check(t, c.WaitText(s.ctx, reminder))
	check(t, s.status(id, "read"))
}
