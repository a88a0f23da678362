package outbound

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/message/internal/peers"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// work does one job of the outbox; it is its queue's Worker.
func (s *Outbound) work(ctx context.Context, j queue.Job) queue.Result {
	if len(j.Body) == 0 {
		s.Log.LogAttrs(ctx, slog.LevelError, "giving up on a job whose row in the store is damaged")
		return s.endWith(ctx, j, webhook.Unavailable("What the relay kept of the message was damaged before it was sent. Send it again."))
	}
	var t record.Task
	err := json.Unmarshal(j.Body, &t)
	ctx, cancel := context.WithTimeout(ctx, timeFor(t.Kind))
	defer cancel()
	link := s.peers.LinkName()
	if err == nil {
		err = s.do(ctx, j, t)
	}
	if errors.Is(err, peers.ErrHidden) {
		err = s.awaitContact(ctx, j, t)
	}
	var final *failure
	log := func(what string) {
		s.Log.LogAttrs(ctx, slog.LevelWarn, what, slog.String("kind", string(t.Kind)),
			slog.Int("attempts", j.Attempts+1), slog.Any("error", err))
	}
	switch {
	case err == nil:
		return queue.Done()
	case errors.Is(err, record.ErrFinished):
		return s.endWith(ctx, j)
	case errors.As(err, &final):
		return s.endWith(ctx, j, final.reason)
	case errors.Is(err, peers.ErrNoAccount):
		return s.endWith(ctx, j, webhook.Undeliverable("The carrier says that the recipient has no account there."))
	case errors.Is(err, peers.ErrUnreachable):
		return s.endWith(ctx, j, webhook.Undeliverable("The recipient publishes no keys at the carrier: they have no device there that reads encrypted (OMEMO) messages, or no account."))
	case errors.Is(err, carrier.ErrRejected):
		return s.endWith(ctx, j, webhook.Undeliverable("The carrier refused the message."))
	case errors.Is(err, peers.ErrIdentity):
		return s.endWith(ctx, j, webhook.IdentityMismatch())
	case errors.Is(err, errBusy):
		return queue.Later(turnPause)
	}
	if pause := s.pause(err, link); pause > 0 {
		return queue.Later(pause)
	}
	if ctx.Err() == nil && j.Attempts+1 >= maxAttempts {
		log("giving up on an outbox job")
		return s.endWith(ctx, j, givenUp(t.Kind))
	}
	log("an outbox job failed")
	return queue.Retry(retryAfter(j.Attempts))
}

// pause says how long jobs wait because of an error that is no fault of theirs and counts as no attempt; 0 means that it
// is. The link is the one that was up when they began.
func (s *Outbound) pause(err error, link int) time.Duration {
	switch {
	case errors.Is(err, carrier.ErrOffline), errors.Is(err, carrier.ErrUnconfirmed):
		s.peers.LinkFailed(link, s.wake)
		return peers.LinkProbe // Connected makes them due sooner
	case errors.Is(err, store.ErrFull):
		return fullPause // a full volume is no reason to give up on an accepted message
	case store.Unavailable(err):
		return storePause // nor is a database that is away
	}
	return 0
}

// endWith removes a job; its message fails for the given reasons, if there are any.
func (s *Outbound) endWith(ctx context.Context, j queue.Job, why ...webhook.Error) queue.Result {
	err := s.Store.Update(ctx, func(tx *store.Tx) error {
		if len(why) > 0 && j.Message != "" {
			err := s.advanceMessage(tx, j.Message, record.StateFailed, why...)
			if err != nil {
				return err
			}
		}
		return tx.Finish(j.ID)
	})
	if err != nil {
		return queue.Retry(base.FirstRetry)
	}
	s.ahead.ended(j.Message)
	return queue.Done()
}

// do does a job. When it returns nil the job is gone.
func (s *Outbound) do(ctx context.Context, j queue.Job, t record.Task) error {
	if s.Now().Sub(j.Created) > s.Retention {
		return record.ErrFinished // as the hosted API drops what it could not deliver
	}
	if t.Kind == record.KindText {
		if ready, err := s.sendReady(ctx, j); ready {
			return err
		}
	}
	c, err := s.recipient(ctx, j)
	if err != nil {
		return err
	}
	if blocked, err := s.blocklist.IsBlocked(ctx, c.Number); err != nil {
		return err
	} else if blocked {
		return refused(t.Kind)
	}
	if behind, err := s.waitsBehind(ctx, j, c, t); behind || err != nil {
		return err
	}
	switch t.Kind {
	case record.KindText:
		return s.sendText(ctx, j, c)
	case record.KindMedia:
		return s.sendMedia(ctx, j, c)
	case record.KindReaction:
		return s.react(ctx, j, c)
	case record.KindReceipt:
		return s.sendReceipt(ctx, j, c, t)
	case record.KindAnswer, record.KindRepair:
		return s.sendTransport(ctx, c, t)
	case record.KindRefuse:
		return s.sendRefusal(ctx, c, t)
	case record.KindName:
		return s.fetchName(ctx, j, c)
	case record.KindInspect:
		return s.peers.Inspect(ctx, c, t.Device)
	case record.KindLost:
		return s.findLost(ctx, j, c, t)
	case record.KindFirst:
		return s.beginAgain(ctx, j, c, t)
	case record.KindNotRead:
		return s.notRead(ctx, j, c, t)
	case record.KindProven:
		return s.proven(ctx, j, c, t)
	case record.KindAnswered:
		return s.wasAnswered(ctx, j, c, t)
	case record.KindAgain:
		return s.sendAgain(ctx, c, t)
	case record.KindBounced:
		return s.sendBounced(ctx, j, c, t)
	}
	return record.ErrFinished // written by a newer relay
}

// recipient reads the customer of a job.
func (s *Outbound) recipient(ctx context.Context, j queue.Job) (c store.Customer, err error) {
	err = s.Store.View(ctx, func(tx *store.Tx) error {
		c, err = tx.CustomerByID(store.CustomerID(j.Lane))
		return err
	})
	if errors.Is(err, seal.ErrTampered) {
		return c, fails(webhook.Unavailable("What the relay kept of the recipient is damaged. Send the message again."))
	}
	if record.IsNotFound(err) {
		return c, record.ErrFinished // the customer's data key was destroyed
	}
	return c, err
}

// sendText sends a message for the first time.
func (s *Outbound) sendText(ctx context.Context, j queue.Job, c store.Customer) error {
	m, body, err := s.pending(ctx, j.Message, record.StateAccepted)
	if err != nil {
		return err
	}
	s.endTyping(ctx, c)
	if err := s.send(ctx, c, m, body); err != nil {
		return err
	}
	return s.sent(ctx, j, c, m.ID, true)
}

// sent notes that the carrier has the message with that ID, which may begin a session, and ends its job.
func (s *Outbound) sent(ctx context.Context, j queue.Job, c store.Customer, id string, begins bool) error {
	err := s.Store.UpdateLate(ctx, func(tx *store.Tx) error {
		if err := s.advanceMessage(tx, id, record.StateSent); err != nil {
			return err
		}
		if begins {
			if err := s.awaitAnswer(tx, c.ID, id); err != nil {
				return err
			}
		}
		if err := tx.Finish(j.ID); err != nil || c.Asked.IsZero() {
			return err
		}
		return s.reached(tx, c.ID)
	})
	if err == nil {
		s.ahead.ended(id)
	}
	return err
}

// react sends a reaction for the first time, in whichever form.
func (s *Outbound) react(ctx context.Context, j queue.Job, c store.Customer) error {
	_, body, err := s.pending(ctx, j.Message, record.StateAccepted)
	if err != nil {
		return err
	}
	to, err := s.answered(ctx, c.ID, body)
	if err != nil {
		return err
	}
	if to.refs.ReplyTo == "" {
		return fails(unknownMessage())
	}
	return s.sendText(ctx, j, c)
}
