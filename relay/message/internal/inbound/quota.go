package inbound

import (
	"context"
	"errors"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

const (
	// quotaNoticeEvery is the least time between two webhooks that tell the business about
	// refused messages of one customer.
	quotaNoticeEvery = 24 * time.Hour
	// maxRefusals is how many jobs may wait for a customer before no more refusals are queued:
	// refusals have no quota.
	maxRefusals = 64

	quotaDetails = "The customer's message was refused: what the relay keeps of this customer fills their share of its volume, an eighth. " +
		"You are told once a day, however many are refused. Erase the customer, or wait until the retention frees room; the customer's client was told so."
)

// refusedMessage is a customer's message that is not stored.
type refusedMessage struct {
	from         phone.Number
	resource, id string
	time         time.Time
	silent       bool // it has no content, so nobody misses it
}

// overQuota counts that a customer's message was refused, and tells the customer's client and,
// once a day, the business. The message's own update is undone: the session goes on as if the
// message had not arrived yet.
func (s *Inbound) overQuota(ctx context.Context, m refusedMessage, now time.Time) error {
	s.Quotas.Add(base.OverQuotaInbound)
	if m.silent {
		return nil
	}
	err := s.Store.Update(ctx, func(tx *store.Tx) error {
		tx.Owed()
		c, err := s.Customer(tx, m.from)
		if err != nil {
			return err
		}
		told, err := s.tellQuota(tx, &c, m, now)
		if err != nil {
			return err
		}
		queued, err := s.boundedRefusal(tx, c.ID, m.id, m.resource, carrier.OverQuota)
		if err == nil && !told && !queued {
			return record.ErrNoNews
		}
		return err
	})
	if errors.Is(err, record.ErrNoNews) {
		return nil
	}
	return err
}

// tellQuota tells the business once a day that a customer's messages are refused.
func (s *Inbound) tellQuota(tx *store.Tx, c *store.Customer, m refusedMessage, now time.Time) (told bool, err error) {
	if !c.Refused.IsZero() && now.Sub(c.Refused) < quotaNoticeEvery {
		return false, nil
	}
	c.Refused = now
	w := webhook.Message{Time: m.time, Errors: []webhook.Error{webhook.Unsupported(quotaDetails)}}
	return true, s.receive(tx, *c, w, record.Content{At: m.time}, "", now)
}

// answerable says whether a customer's client can be told something about its message: that the message has
// an id, and its sender an address.
func answerable(id, resource string) bool { return id != "" && resource != "" }

// refusal queues the answer to the customer's client that a message was refused.
func (s *Inbound) refusal(tx *store.Tx, c store.CustomerID, id, resource string, why carrier.UnreadKind) error {
	return s.Enqueue(tx, c, "", record.Task{Kind: record.KindRefuse, Stanza: id, Resource: resource, Refused: why})
}

// boundedRefusal is refusal, unless the client cannot be told or many jobs wait already.
func (s *Inbound) boundedRefusal(tx *store.Tx, c store.CustomerID, id, resource string, why carrier.UnreadKind) (queued bool, err error) {
	if !answerable(id, resource) {
		return false, nil
	}
	n, err := tx.Waiting(c, base.QueueOutbox, maxRefusals)
	if err != nil || n >= maxRefusals {
		return false, err
	}
	return true, s.refusal(tx, c, id, resource, why)
}

// fileOverQuota ends the download of a file that does not fit into the customer's quota.
func (s *Inbound) fileOverQuota(ctx context.Context, j queue.Job, sent record.ArrivedFile) error {
	s.Quotas.Add(base.OverQuotaInbound)
	return s.Store.Update(ctx, func(tx *store.Tx) error {
		tx.Owed()
		m, err := tx.Message(j.Message)
		if err == nil {
			_, err = s.boundedRefusal(tx, m.Customer, m.CarrierID, sent.Resource, carrier.OverQuota)
		}
		if err != nil && !record.IsNotFound(err) {
			return err
		}
		return s.lostFile(tx, j, base.QuotaFileDetails)
	})
}
