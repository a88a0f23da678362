package inbound

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// Unread receives a message without an envelope that could be opened. Unencrypted text is
// passed on if the business accepts that. Everything else is refused: the business is told
// that there was a message and why it was not read, and the customer's client that it was not
// accepted.
func (s *Inbound) Unread(ctx context.Context, u carrier.Unread) error {
	now := s.Now()
	if u.Time.Before(now.Add(-s.Retention)) {
		s.Counts.Add(base.EventTooOld)
		return nil
	}
	if u.Time.IsZero() || u.Time.After(now) {
		u.Time = now
	}
	if blocked, err := s.blocklist.Drops(ctx, u.From); err != nil || blocked {
		return err
	}
	var a arrival
	err := s.Store.Update(ctx, func(tx *store.Tx) (err error) {
		a, err = s.takeUnread(tx, u, now)
		return err
	})
	if err == nil || errors.Is(err, record.ErrNoNews) {
		s.arrived(a)
		return nil
	}
	if errors.Is(err, store.ErrQuota) {
		return s.overQuota(ctx, refusedMessage{from: u.From, resource: u.Resource, id: u.ID, time: u.Time}, now)
	}
	return err
}

// takeUnread writes everything that follows from a message that was not encrypted for us.
func (s *Inbound) takeUnread(tx *store.Tx, u carrier.Unread, now time.Time) (arrival, error) {
	c, err := s.Customer(tx, u.From)
	if err != nil {
		return arrival{}, err
	}
	if err := tx.Quota(c.ID); err != nil {
		return arrival{}, err
	}
	if u.Kind == carrier.InClear && s.AcceptUnencrypted && u.Text != "" {
		return s.takeClear(tx, c, u, now)
	}
	a := arrival{event: base.EventUndecryptable}
	if u.Kind == carrier.InClear {
		a.event = base.EventPlaintext
	}
	said := saying{stanza: cmp.Or(u.ID, u.Mark), mark: u.Mark, refused: u.Kind, time: u.Time}
	if again, err := said.repeated(tx, c); err != nil {
		return a, err
	} else if again {
		return arrival{event: base.EventReplayed}, record.ErrNoNews
	}
	if err := s.writtenInClear(tx, c, u); err != nil {
		return a, err
	}
	return a, s.refuse(tx, c, u, said, now)
}

// writtenInClear queues what follows from a customer's answer in clear: perhaps they could not
// read what the business wrote first.
func (s *Inbound) writtenInClear(tx *store.Tx, c store.Customer, u carrier.Unread) error {
	if u.Kind != carrier.InClear {
		return nil
	}
	before := u.Time.Add(-time.Nanosecond) // what is sent at that moment may be sent for another sign
	return s.Enqueue(tx, c.ID, "", record.Task{Kind: record.KindNotRead, Until: before})
}

// takeClear writes an unencrypted text, and queues its receipt if the sender asked for one.
func (s *Inbound) takeClear(tx *store.Tx, c store.Customer, u carrier.Unread, now time.Time) (arrival, error) {
	a := arrival{event: base.EventReceived}
	said := saying{stanza: cmp.Or(u.ID, u.Mark), mark: u.Mark, text: valid(u.Text), time: u.Time}
	again, err := said.repeated(tx, c)
	if err != nil {
		return a, err
	}
	if again {
		a.event = base.EventReplayed
	} else if err := s.keepClear(tx, c, u, said, now); err != nil {
		return a, err
	}
	if !u.WantsReceipt || u.ID == "" || s.NoStorage { // then it follows from the webhook
		return a, nil
	}
	return a, s.EnqueueReceipt(tx, c.ID, u.ID)
}

// keepClear writes an unencrypted text and what follows from it.
func (s *Inbound) keepClear(tx *store.Tx, c store.Customer, u carrier.Unread, said saying, now time.Time) (err error) {
	refs := references{s.Base}
	body := record.Content{Markable: u.WantsRead, At: u.Time, Mark: record.Limited(u.Mark), Confirm: s.confirm(u.ID, u.WantsReceipt)}
	if body.Text, _, err = refs.refer(tx, c, u.References, omemo.Clear{Reply: true, Corrects: true}, said.text, &body); err != nil {
		return err
	}
	if err := refs.understand(tx, c, body.Text, &body); err != nil {
		return err
	}
	if err := s.writtenInClear(tx, c, u); err != nil {
		return err
	}
	return s.receive(tx, c, webhook.Message{Time: u.Time, Unencrypted: true}, body, said.stanza, now)
}

// refuse tells the business that there was a message, and queues the answers to the customer.
func (s *Inbound) refuse(tx *store.Tx, c store.Customer, u carrier.Unread, said saying, now time.Time) error {
	if u.Kind == carrier.InClear || u.Kind == carrier.ForeignEncryption {
		if err := s.explain(tx, &c, u.Language, now); err != nil {
			return err
		}
	}
	told := answerable(u.ID, u.Resource)
	w := webhook.Message{Time: u.Time, Errors: []webhook.Error{webhook.Unsupported(unreadDetails(u.Kind, told))}}
	err := s.receive(tx, c, w, record.Content{Markable: u.WantsRead, At: u.Time, Mark: record.Limited(u.Mark), Refused: u.Kind}, said.stanza, now)
	if err != nil || !told {
		return err
	}
	return s.refusal(tx, c.ID, u.ID, u.Resource, u.Kind)
}
