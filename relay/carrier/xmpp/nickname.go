package xmpp

import (
	"context"
	"errors"
	"fmt"

	"github.com/cenkalti/backoff/v5"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// maxNameTries is how often the name is published on a link before the relay leaves it at that.
const maxNameTries = 5

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

// publishName shows customers the business's name, both as nickname and in the account's vCard.
// Where the server has no place for either, customers see the number.
func (c *Carrier) publishName(ctx context.Context) {
	if c.cfg.Name == "" {
		return
	}
	if err := errors.Join(c.publishVCard(ctx), c.publishNickname(ctx)); err != nil && ctx.Err() == nil {
		c.cfg.Log.WarnContext(ctx, "could not publish the business's name in every place", "error", err)
	}
}

// publishNickname tries again where ejabberd says that there is no such item: it does so while
// others publish.
func (c *Carrier) publishNickname(ctx context.Context) error {
	nick := stanza.New(stanza.NSNick, "nick").WithText(c.cfg.Name)
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := c.publish(ctx, stanza.NSNick, stanza.ItemCurrent, nick)
		if err != nil && !stanza.IsCondition(err, "item-not-found") {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithMaxTries(maxNameTries))
	return err
}

// publishVCard puts the name into the account's vCard, and leaves what else is in it.
func (c *Carrier) publishVCard(ctx context.Context) error {
	old, err := c.vCard(ctx, "")
	if err != nil && !notShown(err) {
		return err
	}
	fields := []string{"FN", "NICKNAME"}
	card, same := stanza.New(stanza.NSVCard, "vCard"), 0
	for _, f := range fields {
		card.With(stanza.New(stanza.NSVCard, f).WithText(c.cfg.Name))
		if stanza.TextOf(old, stanza.NSVCard, f) == c.cfg.Name {
			same++
		}
	}
	if same == len(fields) {
		return nil
	}
	if old != nil {
		for _, child := range old.Children {
			if !child.Is(stanza.NSVCard, fields[0]) && !child.Is(stanza.NSVCard, fields[1]) {
				card.With(child)
			}
		}
	}
	_, err = c.questions.set(ctx, card)
	return publishError(err)
}
