package xmpp

import (
	"context"
	"errors"
	"fmt"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// Nickname implements carrier.Carrier. It asks for the nickname that the peer publishes
// (XEP-0172), and where the server shows none, for the peer's vCard (XEP-0054): some clients
// write the one, some the other.
func (c *Carrier) Nickname(ctx context.Context, peer phone.Number) (string, error) {
	item, err := c.item(ctx, c.addr.Of(peer), stanza.NSNick, "")
	if name := stanza.Nickname(item); err == nil && name != "" {
		return name, nil
	}
	if err != nil && !notShown(err) {
		return "", fmt.Errorf("fetching a nickname: %w", err)
	}
	card, err := c.vCard(ctx, c.addr.Of(peer))
	if err != nil && !notShown(err) {
		return "", fmt.Errorf("fetching a nickname: %w", err)
	}
	name := stanza.VCardName(card)
	if name == "" {
		return "", fmt.Errorf("fetching a nickname: %w", carrier.ErrNotFound)
	}
	return name, nil
}

// notShown says whether the server shows us no such thing, whatever the reason.
func notShown(err error) bool {
	return errors.Is(err, carrier.ErrNotFound) || errors.Is(err, carrier.ErrHidden) || errors.Is(err, carrier.ErrRejected)
}

// vCard fetches the vCard of an address; an empty address is our own account's.
func (c *Carrier) vCard(ctx context.Context, address string) (*stanza.Element, error) {
	answer, err := c.questions.ask(ctx, address, "get", stanza.New(stanza.NSVCard, "vCard"))
	if err != nil {
		return nil, fetchError(err)
	}
	return answer.Child(stanza.NSVCard, "vCard"), nil
}
