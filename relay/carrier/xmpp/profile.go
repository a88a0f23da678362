package xmpp

import (
	"context"
	"errors"
	"slices"

	"github.com/cenkalti/backoff/v5"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
	"github.com/relaykeep/relaykeep/relay/media"
)

// maxProfileTries is how often a part of the profile is published on a link before the relay leaves
// it at that.
const maxProfileTries = 5

// publishProfile shows customers the business's name and picture, and removes those that we published
// before. What others put into the account stays, unless the business has a name or picture of its own.
// Where the server has no place for them, customers see the number.
//
// The account notes what we published, in a node that only it can read. The note comes first, and is
// corrected last, so that a change that stops half-way is finished by a later link. A server that does
// not keep the note shows the profile all the same.
func (c *Carrier) publishProfile(ctx context.Context, p Profile) {
	now := stanza.Profile{Name: p.Name, Picture: stanza.PictureID(p.Picture)}
	before, err := c.noted(ctx)
	if err != nil {
		c.profileFailed(ctx, err)
	}
	notes := err == nil
	if p.KeepPicture && len(before) > 0 {
		now.Picture = before[0].Picture
	}
	former := slices.DeleteFunc(slices.Clone(before), func(f stanza.Profile) bool { return f == now })
	if now == (stanza.Profile{}) && len(former) == 0 {
		return
	}
	if notes && (len(before) == 0 || before[0] != now) {
		notes = c.note(ctx, now, former...)
	}
	// The vCard first: with one, Prosody replaces the picture's nodes.
	err = errors.Join(
		c.untilRejected(ctx, func() error { return c.publishVCard(ctx, p, former) }),
		c.untilRejected(ctx, func() error { return c.publishNickname(ctx, p.Name, namesOf(former)) }),
		c.untilRejected(ctx, func() error { return c.publishPicture(ctx, p, picturesOf(former)) }))
	if err != nil {
		c.profileFailed(ctx, err)
		return
	}
	if !notes || len(former) == 0 {
		return
	}
	if !p.KeepPicture {
		former = nil
	}
	for i := range former {
		former[i].Name = "" // replaced, unlike the pictures
	}
	c.note(ctx, now, slices.Compact(former)...)
}

// noted reads which profiles we published, the newest first.
func (c *Carrier) noted(ctx context.Context) (ps []stanza.Profile, err error) {
	return ps, c.untilRejected(ctx, func() error {
		item, err := c.item(ctx, "", stanza.NSProfile, "")
		if err != nil && !notShown(err) {
			return err
		}
		ps = stanza.ParsePublished(item)
		return nil
	})
}

// note notes which profile we publish and which former ones may be there, and says whether it could.
func (c *Carrier) note(ctx context.Context, now stanza.Profile, former ...stanza.Profile) bool {
	err := c.untilRejected(ctx, func() error {
		return c.publish(ctx, stanza.NSProfile, stanza.ItemCurrent, stanza.PublishedProfile(now, former...))
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

func (c *Carrier) publishNickname(ctx context.Context, name string, former []string) error {
	if name != "" {
		return c.publish(ctx, stanza.NSNick, stanza.ItemCurrent, stanza.New(stanza.NSNick, "nick").WithText(name))
	}
	if len(former) == 0 {
		return nil
	}
	is, err := c.shown(ctx, stanza.NSNick)
	if err != nil || !slices.Contains(former, stanza.TextOf(is, stanza.NSNick, "nick")) {
		return err
	}
	return c.withdraw(ctx, stanza.NSNick, stanza.New(stanza.NSNick, "nick"))
}

// publishPicture publishes the picture (XEP-0084), unless the server has it, and removes former ones.
func (c *Carrier) publishPicture(ctx context.Context, p Profile, former []string) error {
	now := stanza.PictureID(p.Picture)
	if p.KeepPicture || now == "" && len(former) == 0 {
		return nil
	}
	item, err := c.shown(ctx, stanza.NSPictures)
	if err != nil {
		return err
	}
	switch is := stanza.ShownPicture(item); {
	case now == "" && slices.Contains(former, is):
		err = c.withdraw(ctx, stanza.NSPictures, stanza.PictureInfo(media.Picture{}))
	case now != "" && now != is:
		if err = c.publish(ctx, stanza.NSPicture, now, stanza.PictureData(p.Picture)); err == nil {
			err = c.publish(ctx, stanza.NSPictures, now, stanza.PictureInfo(p.Picture))
		}
	}
	for _, id := range former {
		if err == nil && id != now {
			err = c.retract(ctx, stanza.NSPicture, id)
		}
	}
	return err
}

// shown returns the item that a node of our account has, nil for none.
func (c *Carrier) shown(ctx context.Context, node string) (*stanza.Element, error) {
	item, err := c.item(ctx, "", node, "")
	if notShown(err) {
		return nil, nil
	}
	return item, err
}

// publishVCard puts name and picture into the account's vCard, removes what we put there before, and
// leaves what else is in it.
func (c *Carrier) publishVCard(ctx context.Context, p Profile, former []stanza.Profile) error {
	old, err := c.vCard(ctx, "")
	if err != nil && !notShown(err) {
		return err
	}
	edit := cardEdit{old: old, card: stanza.New(stanza.NSVCard, "vCard")}
	for _, name := range []string{"FN", "NICKNAME"} {
		edit.field(name, stanza.TextOf(old, stanza.NSVCard, name), namesOf(former), p.Name, stanza.New(stanza.NSVCard, name).WithText(p.Name))
	}
	if !p.KeepPicture {
		edit.field("PHOTO", stanza.VCardPicture(old), picturesOf(former), stanza.PictureID(p.Picture), stanza.VCardPhoto(p.Picture))
	}
	if !edit.changed {
		return nil
	}
	_, err = c.questions.set(ctx, edit.whole())
	return publishError(err)
}

func namesOf(ps []stanza.Profile) []string {
	return known(ps, func(p stanza.Profile) string { return p.Name })
}

func picturesOf(ps []stanza.Profile) []string {
	return known(ps, func(p stanza.Profile) string { return p.Picture })
}

// known returns a field of those profiles that have it.
func known(ps []stanza.Profile, field func(stanza.Profile) string) (values []string) {
	for _, p := range ps {
		if v := field(p); v != "" && !slices.Contains(values, v) {
			values = append(values, v)
		}
	}
	return values
}

// cardEdit is a vCard that is being changed.
type cardEdit struct {
	old     *stanza.Element // nil for none
	card    *stanza.Element
	ours    []string // fields that were decided
	changed bool
}

// field decides about a field that has the value is: it gets content for the value now. Without such a
// value it is removed if we wrote it, and stays otherwise.
func (e *cardEdit) field(name, is string, former []string, now string, content *stanza.Element) {
	e.ours = append(e.ours, name)
	switch {
	case now != "":
		e.card.With(content)
		e.changed = e.changed || is != now
	case slices.Contains(former, is):
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
