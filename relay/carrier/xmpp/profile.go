package xmpp

import (
	"context"
	"errors"
	"slices"

	"github.com/cenkalti/backoff/v5"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
)

// maxProfileTries is how often a part of the profile is published on a link before the relay leaves
// it at that.
const maxProfileTries = 5

// publishProfile shows customers the business's name and picture, and removes those of which we
// published one before and now have none. What others put into the account stays. Where the server
// has no place for them, customers see the number.
//
// The account notes what we published, in a node that only it can read. The note comes first, and is
// corrected last: nothing of ours is there without it.
func (c *Carrier) publishProfile(ctx context.Context) {
	now := stanza.Published{Name: c.cfg.Name, Picture: stanza.PictureID(c.cfg.Picture)}
	item, err := c.item(ctx, "", stanza.NSProfile, "")
	if err != nil && !notShown(err) {
		c.profileFailed(ctx, err)
		return
	}
	before := stanza.ParsePublished(item)
	if before == (stanza.Published{}) && now == before {
		return
	}
	both := before
	if now.Name != "" {
		both.Name = now.Name
	}
	if now.Picture != "" {
		both.Picture = now.Picture
	}
	if both != before && !c.note(ctx, both) {
		return
	}
	// The vCard first: with one, Prosody replaces the picture's nodes.
	err = errors.Join(
		c.untilRejected(ctx, func() error { return c.publishVCard(ctx, before, now) }),
		c.untilRejected(ctx, func() error { return c.publishNickname(ctx, before) }),
		c.untilRejected(ctx, func() error { return c.publishPicture(ctx, before, now) }))
	if err != nil {
		c.profileFailed(ctx, err)
		return
	}
	if both != now {
		c.note(ctx, now)
	}
}

// note notes what we published, and says whether it could.
func (c *Carrier) note(ctx context.Context, p stanza.Published) bool {
	err := c.untilRejected(ctx, func() error {
		return c.publish(ctx, stanza.NSProfile, stanza.ItemCurrent, stanza.PublishedProfile(p))
	})
	if err != nil {
		c.profileFailed(ctx, err)
	}
	return err == nil
}

func (c *Carrier) profileFailed(ctx context.Context, err error) {
	if ctx.Err() == nil {
		c.cfg.Log.WarnContext(ctx, "could not publish the business's name and picture in every place", "error", err)
	}
}

// untilRejected tries again what the server does not refuse for good.
func (c *Carrier) untilRejected(ctx context.Context, try func() error) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := try()
		if errors.Is(err, carrier.ErrRejected) || errors.Is(err, carrier.ErrOffline) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithMaxTries(maxProfileTries))
	return err
}

func (c *Carrier) publishNickname(ctx context.Context, before stanza.Published) error {
	switch {
	case c.cfg.Name != "":
		return c.publish(ctx, stanza.NSNick, stanza.ItemCurrent, stanza.New(stanza.NSNick, "nick").WithText(c.cfg.Name))
	case before.Name != "":
		return c.withdraw(ctx, stanza.NSNick, stanza.New(stanza.NSNick, "nick"))
	}
	return nil
}

// publishPicture publishes the picture (XEP-0084), unless the server has it, and removes the one before.
func (c *Carrier) publishPicture(ctx context.Context, before, now stanza.Published) error {
	if before.Picture == now.Picture {
		if _, err := c.item(ctx, "", stanza.NSPictures, now.Picture); err == nil || now.Picture == "" {
			return nil
		}
	}
	var err error
	if now.Picture == "" {
		err = c.withdraw(ctx, stanza.NSPictures, stanza.PictureInfo(c.cfg.Picture))
	} else if err = c.publish(ctx, stanza.NSPicture, now.Picture, stanza.PictureData(c.cfg.Picture)); err == nil {
		err = c.publish(ctx, stanza.NSPictures, now.Picture, stanza.PictureInfo(c.cfg.Picture))
	}
	if err != nil || before.Picture == "" || before.Picture == now.Picture {
		return err
	}
	return c.retract(ctx, stanza.NSPicture, before.Picture)
}

// publishVCard puts name and picture into the account's vCard, removes what we put there before, and
// leaves what else is in it.
func (c *Carrier) publishVCard(ctx context.Context, before, now stanza.Published) error {
	old, err := c.vCard(ctx, "")
	if err != nil && !notShown(err) {
		return err
	}
	edit := cardEdit{old: old, card: stanza.New(stanza.NSVCard, "vCard")}
	for _, name := range []string{"FN", "NICKNAME"} {
		edit.field(name, stanza.TextOf(old, stanza.NSVCard, name), before.Name, now.Name, stanza.New(stanza.NSVCard, name).WithText(now.Name))
	}
	edit.field("PHOTO", stanza.VCardPicture(old), before.Picture, now.Picture, stanza.VCardPhoto(c.cfg.Picture))
	if !edit.changed {
		return nil
	}
	_, err = c.questions.set(ctx, edit.whole())
	return publishError(err)
}

// cardEdit is a vCard that is being changed.
type cardEdit struct {
	old     *stanza.Element // nil for none
	card    *stanza.Element
	ours    []string // fields that were decided
	changed bool
}

// field decides about a field that has the value is: it gets content for the value now. Without such a
// value it is removed if we wrote it before, and stays otherwise.
func (e *cardEdit) field(name, is, before, now string, content *stanza.Element) {
	e.ours = append(e.ours, name)
	switch {
	case now != "":
		e.card.With(content)
		e.changed = e.changed || is != now
	case before != "" && is == before:
		e.changed = true
	default:
		if child := e.old.Child(stanza.NSVCard, name); child != nil {
			e.card.With(child)
		}
	}
}

// whole returns the vCard with the fields that were not decided.
func (e *cardEdit) whole() *stanza.Element {
	if e.old == nil {
		return e.card
	}
	for _, child := range e.old.Children {
		if !slices.ContainsFunc(e.ours, func(name string) bool { return child.Is(stanza.NSVCard, name) }) {
			e.card.With(child)
		}
	}
	return e.card
}
