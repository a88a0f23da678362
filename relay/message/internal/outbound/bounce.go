package outbound

import (
	"context"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// A message usually comes back before the carrier acknowledged it or soon after, when the
// job that sent it is done or about to be done. So a temporary bounce gets its own job. The
// message counts its bounces, at most one each time that it is sent, and fails after
// maxAttempts bounces. The retry waits for its time and is not hurried when the link comes up,
// which says nothing about why the message came back; otherwise a flapping link would use up
// the retries early. Later messages to the customer don't wait for the retry.

// Bounced receives a bounce. If the message was delivered, at least one of the customer's
// devices has it. Receipts and messages without content are neither kept nor sent again: a
// later one does their work. A customer's client may miss a tick until the next read marker,
// which covers the earlier messages; sending a receipt again would take a message's place in a
// full queue.
func (s *Outbound) Bounced(ctx context.Context, in *base.Batch, b carrier.Bounce) {
	s.about(ctx, in, b.To, b.ID, record.StateDelivered, func(tx *store.Tx, c store.Customer, m store.Message) error {
		if b.Temporary || b.Doubtful {
			wait, err := s.postpone(tx, c, m, b)
			if wait > 0 {
				tx.Then(func() { s.Counts.Add(base.EventBounced) })
			}
			return err
		}
		return s.advance(tx, c, m, record.StateFailed, s.Now(), webhook.Undeliverable(
			"The carrier returned the message: the recipient has no account there or does not accept messages."))
	})
}

// maxDoubtful is how often a message may come back although the customer may have it: within
// two minutes a client that was cut off is back, or a receipt has come.
const maxDoubtful = 8

// gaveUp says whether a message has come back often enough to fail, and the reason.
func gaveUp(b carrier.Bounce, bounces int) (webhook.Error, bool) {
	if b.Temporary {
		return webhook.Unavailable(
			"The carrier returned the message each time that it was sent: it cannot accept messages for the recipient at present. Send it again later."), bounces >= maxAttempts
	}
	return webhook.Undeliverable(
		"The carrier returned the message each time that it was sent: the recipient has no account there or does not accept messages."), bounces >= maxDoubtful
}

// postpone queues a message that came back to be sent again after a wait, which it returns.
// The message fails when it has come back too often. A bounce of a message that waits already
// changes nothing.
func (s *Outbound) postpone(tx *store.Tx, c store.Customer, m store.Message, b carrier.Bounce) (wait time.Duration, err error) {
	body, err := record.ContentOf(m)
	if err != nil {
		return 0, err
	}
	if body.Waits && !body.Going {
		return 0, record.ErrNoNews
	}
	if reason, enough := gaveUp(b, body.Bounces+1); enough {
		return 0, s.advance(tx, c, m, record.StateFailed, s.Now(), reason)
	}
	err = record.PutBody(tx, m, func(b *record.Content) { b.Bounces++; b.Waits, b.Going = true, false })
	if err != nil {
		return 0, err
	}
	wait = retryAfter(body.Bounces)
	return wait, s.EnqueueAt(tx, c.ID, m.ID, record.Task{Kind: record.KindBounced, Bounce: body.Bounces + 1}, s.Now().Add(wait))
}

// sendBounced sends a message again after it came back: the same ciphertext under the same id,
// or a new ciphertext when the old one was lost with its session and the message has not been
// sent in the next session yet. The message may come back again from just before it is sent.
// Until the carrier has it, a marker for a later message does not mean that it was read. If
// the link breaks before the carrier acknowledges the message, it may have come back by the
// time this job is retried: then another job has the next retry.
func (s *Outbound) sendBounced(ctx context.Context, j queue.Job, c store.Customer, t record.Task) error {
	var m store.Message
	var body record.Content
	err := s.Store.Update(ctx, func(tx *store.Tx) (err error) {
		if m, body, err = pendingIn(tx, j.Message, record.StateAccepted, record.StateSent); err != nil {
			return err
		}
		if t.Bounce < body.Bounces {
			return record.ErrFinished
		}
		return record.PutBody(tx, m, func(b *record.Content) { b.Waits, b.Going = true, true })
	})
	if err != nil {
		return record.Gone(err)
	}
	if err := s.send(ctx, c, m, body); err != nil {
		return err
	}
	return s.Store.Update(ctx, func(tx *store.Tx) error {
		if err := wentAgain(tx, m.ID); err != nil {
			return err
		}
		if err := s.awaitAnswer(tx, c.ID, m.ID); err != nil {
			return err
		}
		return tx.Finish(j.ID)
	})
}

// wentAgain notes that the carrier has a message again, unless the message came back meanwhile
// or is finished.
func wentAgain(tx *store.Tx, id string) error {
	m, body, err := pendingIn(tx, id, record.StateAccepted, record.StateSent)
	if record.IsNotFound(err) || err == nil && !body.Going {
		return nil
	}
	if err != nil {
		return err
	}
	return record.PutBody(tx, m, func(b *record.Content) { b.Waits, b.Going = false, false })
}
