package inbound

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/emoji"
	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/metering"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// Reactions and retractions that stand outside the encryption may be anybody's on the way. The
// business is told so. They are stored with the message that they are about, the latest
// reaction only, and end with it; what came before is recognized there.

// maxRemarks is how many webhooks may wait for a customer before reactions and retractions are
// refused: the store keeps one for each message, so that a quota would not limit them.
const maxRemarks = 256

// remark is a reaction or a retraction.
type remark struct {
	id, resource string // as the customer's client knows it
	from         phone.Number
	about        string // stanza id
	time         time.Time
	encrypted    bool
	confirm      record.Confirm // the receipt that follows from its webhook
	event        base.Event     // what to count; empty for nothing
	refuse       carrier.UnreadKind
	// take writes what follows from the remark, or says why it is refused.
	take func(*store.Tx, store.Customer, *remark) error
}

// Reaction receives a reaction.
func (s *Inbound) Reaction(ctx context.Context, b *base.Batch, r carrier.Reaction) error {
	return s.remark(ctx, b, s.reaction(r))
}

func (s *Inbound) reaction(r carrier.Reaction) remark {
	return remark{
		id: r.ID, resource: r.Resource, from: r.From, about: r.About, time: r.Time, encrypted: r.Encrypted, event: base.EventReaction,
		take: func(tx *store.Tx, c store.Customer, one *remark) error {
			about, err := s.Named(tx, c.ID, one.about)
			if err != nil {
				return err
			}
			return s.react(tx, c, one, about, r.Emoji)
		},
	}
}

// react notes a reaction with the message that it is about and queues its webhook. Of several
// emoji it takes the last: the Cloud API knows one for each person and message.
func (s *Inbound) react(tx *store.Tx, c store.Customer, one *remark, about base.Referenced, sent []string) error {
	var last string
	for _, text := range sent {
		if emoji.Is(text) {
			last = text
		}
	}
	if last == "" && len(sent) > 0 {
		one.refuse = carrier.NotEmoji
		return nil
	}
	before := cmp.Or(about.Content.Reaction, &record.Reaction{})
	same, since := before.Emoji == last, before.At
	if one.encrypted && about.Content.Reaction != nil && !before.Inside {
		// What the carrier may have written never keeps the business from what was encrypted.
		same, since = false, before.InsideAt
	}
	if same || one.time.Before(since) {
		one.event = base.EventReplayed
		return record.ErrNoNews
	}
	if full, err := s.full(tx, c, one); err != nil || full {
		return err
	}
	err := record.PutBody(tx, about.Message, func(b *record.Content) {
		b.Reaction = &record.Reaction{Emoji: last, At: one.time, Inside: one.encrypted}
		if !one.encrypted {
			b.Reaction.InsideAt = before.LastInside()
		}
	})
	if err != nil {
		return err
	}
	if last != "" {
		if err := s.Meter(tx, c.ID, metering.In, s.Now(), record.TypeReaction, 0); err != nil {
			return err
		}
	}
	payload, err := s.Webhook.ReactionPayload(webhook.Reaction{
		ID: store.NewMessageID(), From: c.Number, User: c.UserID, Name: c.Name, Time: one.time, About: about.ID, Emoji: last, Unencrypted: !one.encrypted,
	})
	if err == nil {
		payload, err = one.confirm.On(payload)
	}
	return s.Notify(tx, store.Job{Customer: c.ID}, payload, err)
}

// Retraction receives a retraction. It counts for the customer's own messages only. What is
// stored of the message stays: the retraction may be the carrier's.
func (s *Inbound) Retraction(ctx context.Context, b *base.Batch, r carrier.Retraction) error {
	return s.remark(ctx, b, s.retraction(r))
}

func (s *Inbound) retraction(r carrier.Retraction) remark {
	return remark{
		id: r.ID, resource: r.Resource, from: r.From, about: r.About, time: r.Time, encrypted: r.Encrypted, event: base.EventRevoked,
		take: s.retract,
	}
}

// retract notes that a message was taken back, with all its parts.
func (s *Inbound) retract(tx *store.Tx, c store.Customer, one *remark) error {
	about, err := s.Received(tx, c.ID, one.about)
	if err != nil {
		return err
	}
	parts, err := partsOf(tx, about, one.encrypted)
	if err != nil {
		return err
	}
	if len(parts) == 0 {
		one.event = base.EventReplayed
		return record.ErrNoNews
	}
	if full, err := s.full(tx, c, one); err != nil || full {
		return err
	}
	for _, p := range parts {
		if err := s.revoke(tx, c, *one, p); err != nil {
			return err
		}
	}
	return nil
}

// partsOf returns the messages of the business's that a customer's message is, without those
// that were taken back already: one, unless the message had files. What was taken back in clear is not
// left out where it is taken back inside the encryption.
func partsOf(tx *store.Tx, about base.Referenced, encrypted bool) ([]base.Referenced, error) {
	if about.ID != about.Message.ID { // a correction: what it replaced is taken back
		m, err := tx.Message(about.ID)
		if err == nil {
			about, err = base.ReferencedBy(m)
		}
		if err != nil && !record.IsNotFound(err) {
			return nil, err
		}
	}
	parts := []base.Referenced{about}
	if about.Content.Whole != "" {
		var err error
		if parts, err = wholeOf(tx, about); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(parts, func(r base.Referenced) bool {
		return r.Content.Revoked && (r.Content.RevokedInside || !encrypted)
	}), nil
}

// wholeOf returns all messages that were one at the customer. Some clients use an id again for
// another message.
func wholeOf(tx *store.Tx, part base.Referenced) (parts []base.Referenced, err error) {
	near, err := tx.MessagesOf(part.Message.Customer, store.Inbound, part.Message.Created, 2*media.MaxFiles) // each file may have a text
	for _, m := range near {
		r, err := base.ReferencedBy(m)
		if err != nil {
			return nil, err
		}
		if m.CarrierID == part.Message.CarrierID && r.Content.Whole == part.Content.Whole {
			parts = append(parts, r)
		}
	}
	return parts, err
}

// revoke notes that a message was taken back, and queues the webhook.
func (s *Inbound) revoke(tx *store.Tx, c store.Customer, one remark, about base.Referenced) error {
	if err := record.PutBody(tx, about.Message, func(b *record.Content) { b.Revoked, b.RevokedInside = true, one.encrypted }); err != nil {
		return err
	}
	payload, err := s.Webhook.RevokePayload(webhook.Revoke{
		ID: store.NewMessageID(), From: c.Number, User: c.UserID, Name: c.Name, Time: one.time, About: about.ID, Unencrypted: !one.encrypted,
	})
	if err == nil {
		payload, err = one.confirm.On(payload)
	}
	return s.Notify(tx, store.Job{Customer: c.ID}, payload, err)
}

// remark receives a remark that stands outside the encryption.
func (s *Inbound) remark(ctx context.Context, b *base.Batch, r remark) error {
	now := s.Now()
	if r.time.Before(now.Add(-s.Retention)) {
		s.Counts.Add(base.EventTooOld)
		return nil
	}
	if r.time.IsZero() || r.time.After(now) {
		r.time = now
	}
	if blocked, err := s.blocklist.Drops(ctx, r.from); err != nil || blocked {
		return err
	}
	var one remark
	b.Update(ctx, func(tx *store.Tx) error {
		one = r
		c, err := tx.Customer(r.from)
		if err == nil {
			err = one.take(tx, c, &one)
		}
		return s.settled(tx, c.ID, &one, err)
	}, func(err error) error {
		if err != nil && !errors.Is(err, record.ErrNoNews) {
			return err
		}
		if one.event != "" {
			s.Counts.Add(one.event)
		}
		return nil
	})
	return nil
}

// settled tells the customer's client that a remark was refused: when the message that it is about is not
// known, and when take said so. Err is what take returned.
func (s *Inbound) settled(tx *store.Tx, c store.CustomerID, one *remark, err error) error {
	if record.IsNotFound(err) || errors.Is(err, seal.ErrTampered) {
		one.refuse, err = carrier.UnknownReference, nil
	}
	if err != nil || one.refuse == "" {
		return err
	}
	one.event = base.EventUnmatched
	return s.refuseRemark(tx, c, *one)
}

// inside takes the reaction and the retraction inside a message's encryption, in the transaction that keeps
// the session's step. It says whether there was one that was not refused.
func (s *Inbound) inside(tx *store.Tx, c store.Customer, opened omemo.Opened, receipt record.Confirm, a *arrival) (taken bool, err error) {
	var said []remark
	if opened.Reaction != nil {
		said = append(said, s.reaction(*opened.Reaction))
	}
	if opened.Retraction != nil {
		said = append(said, s.retraction(*opened.Retraction))
	}
	for _, one := range said {
		one.confirm = receipt
		err := s.settled(tx, c.ID, &one, one.take(tx, c, &one))
		if err != nil && !errors.Is(err, record.ErrNoNews) {
			return false, err
		}
		taken = taken || one.refuse == ""
		a.remarks = append(a.remarks, one.event)
	}
	return taken, nil
}

// beside receives the reaction and the retraction beside a message's envelopes, unless it turns out that
// there is one inside the encryption, or that they do not count. Opened is what became of the envelope.
func (s *Inbound) beside(ctx context.Context, b *base.Batch, m carrier.Message, opened func() *arrival) error {
	if m.Reaction != nil {
		one := s.reaction(*m.Reaction).unless(func() bool { return opened().closed || opened().opened.Reaction != nil })
		if err := s.remark(ctx, b, one); err != nil {
			return err
		}
	}
	if m.Retraction != nil {
		one := s.retraction(*m.Retraction).unless(func() bool { return opened().closed || opened().opened.Retraction != nil })
		return s.remark(ctx, b, one)
	}
	return nil
}

// unless returns a remark that does nothing if, when it is taken, there is a better one.
func (r remark) unless(better func() bool) remark {
	take := r.take
	r.take = func(tx *store.Tx, c store.Customer, one *remark) error {
		if better() {
			one.event = ""
			return record.ErrNoNews
		}
		return take(tx, c, one)
	}
	return r
}

// full says whether so much waits for the business already, or is stored, that a remark is
// refused for now.
func (s *Inbound) full(tx *store.Tx, c store.Customer, one *remark) (bool, error) {
	n, err := tx.Waiting(c.ID, base.QueueWebhook, maxRemarks)
	if err != nil {
		return false, err
	}
	if err = tx.Quota(c.ID); errors.Is(err, store.ErrQuota) || err == nil && n >= maxRemarks {
		s.Quotas.Add(base.OverQuotaInbound)
		tx.Owed()
		one.refuse, err = carrier.OverQuota, nil
	}
	return one.refuse != "", err
}

// refuseRemark queues the answer to the customer's client, unless many jobs wait already.
func (s *Inbound) refuseRemark(tx *store.Tx, c store.CustomerID, one remark) error {
	if c == 0 {
		return record.ErrNoNews
	}
	queued, err := s.boundedRefusal(tx, c, one.id, one.resource, one.refuse)
	if err == nil && !queued {
		err = record.ErrNoNews
	}
	return err
}
