package xmpp

import (
	"context"
	"fmt"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
	"github.com/relaykeep/relaykeep/relay/phone"
)

const nsRoster = "jabber:iq:roster" // RFC 6121, section 2

// rosterPush accepts the server's notice that our contact list changed (RFC 6121, section
// 2.1.6), and returns what it says about a contact request. The notice must come from our own
// account, by its bare address or with none. One from anybody else is counted and ignored.
func (c *Carrier) rosterPush(e *stanza.Element) (events []carrier.Event, ok bool) {
	from, _ := c.addr.Origin(e.Attr("from"))
	if from != stanza.FromOwn {
		c.cfg.Metrics.Dropped(stanza.DropRoster)
		return nil, false
	}
	if item := e.Child(nsRoster, "query").Child(nsRoster, "item"); item != nil {
		events = c.answered(item)
	}
	return events, true
}

// Forget removes a peer from the account's contact list at the server, which ends both
// subscriptions to presence (RFC 6121, section 2.5). A peer that is not on the list is no
// error. It returns ErrOffline when there is no link.
func (c *Carrier) Forget(ctx context.Context, peer phone.Number) error {
	c.mu.Lock()
	delete(c.newContacts, peer)
	c.mu.Unlock()
	_, err := c.questions.set(ctx, stanza.New(nsRoster, "query").With(
		stanza.New(nsRoster, "item", "jid", c.addr.Of(peer), "subscription", "remove")))
	if stanza.IsCondition(err, "item-not-found") {
		return nil
	}
	if err != nil {
		return fmt.Errorf("removing a contact from the list: %w", err)
	}
	return nil
}
