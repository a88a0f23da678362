package xmpp

import (
	"context"
	"fmt"

	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
	"github.com/relaykeep/relaykeep/relay/phone"
)

const nsRoster = "jabber:iq:roster" // RFC 6121, section 2

// rosterPush takes the server's word that our contact list changed (RFC 6121, section
// 2.1.6), of which we keep no copy. Only our own account has it, in the short form of
// its address or none: another's is counted and not believed.
func (c *Carrier) rosterPush(e *stanza.Element) bool {
	from, _ := c.addr.Origin(e.Attr("from"))
	if from != stanza.FromOwn {
		c.cfg.Metrics.Dropped(stanza.DropRoster)
	}
	return from == stanza.FromOwn
}

// Forget has the server take a peer off the account's contact list, which ends both
// subscriptions to presence (RFC 6121, section 2.5). One that is not on it is no
// error. ErrOffline when there is no link.
func (c *Carrier) Forget(ctx context.Context, peer phone.Number) error {
	c.mu.Lock()
	delete(c.friends, peer)
	c.mu.Unlock()
	_, err := c.questions.set(ctx, stanza.New(nsRoster, "query").With(
		stanza.New(nsRoster, "item", "jid", c.addr.Of(peer), "subscription", "remove")))
	if stanza.IsCondition(err, "item-not-found") {
		return nil
	}
	if err != nil {
		return fmt.Errorf("taking a contact off the list: %w", err)
	}
	return nil
}
