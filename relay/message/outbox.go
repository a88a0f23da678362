package message

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// How the outbox tries.
const (
	lastRetry = time.Minute
	// maxAttempts is after how many failures, those of the link not counted, a job
	// is given up: with the back-off above, after about a quarter of an hour.
	maxAttempts = 20
	// fullPause is how long a job waits for room on the volume.
	fullPause = 30 * time.Second
)

// work does one job of the outbox; it is its queue's Worker.
func (s *Service) work(ctx context.Context, j queue.Job) queue.Result {
	if len(j.Body) == 0 {
		s.Log.LogAttrs(ctx, slog.LevelError, "a job's row in the store is damaged: it is given up")
		return s.endWith(ctx, j, webhook.Unavailable("What the relay kept of the message was damaged before it was sent. Send it again."))
	}
	var t task
	err := json.Unmarshal(j.Body, &t)
	ctx, cancel := context.WithTimeout(ctx, timeFor(t.Kind))
	defer cancel()
	link := s.link.now()
	if err == nil {
		err = s.do(ctx, j, t)
	}
	var final *failure
	log := func(what string) {
		s.Log.LogAttrs(ctx, slog.LevelWarn, what, slog.String("kind", string(t.Kind)),
			slog.Int("attempts", j.Attempts+1), slog.Any("error", err))
	}
	switch {
	case err == nil:
		return queue.Done()
	case errors.Is(err, errFinished):
		return s.endWith(ctx, j)
	case errors.As(err, &final):
		return s.endWith(ctx, j, final.reason)
	case errors.Is(err, errUnreachable):
		return s.endWith(ctx, j, webhook.Undeliverable("The recipient has no account at the carrier, or no device there that reads encrypted (OMEMO) messages."))
	case errors.Is(err, carrier.ErrRejected):
		return s.endWith(ctx, j, webhook.Undeliverable("The carrier refused the message."))
	case errors.Is(err, errIdentity):
		return s.endWith(ctx, j, webhook.IdentityMismatch())
	case errors.Is(err, carrier.ErrOffline), errors.Is(err, carrier.ErrUnconfirmed):
		s.link.failed(link, s.wakeOutbox)
		return queue.Later(linkProbe) // Connected makes it due sooner
	case errors.Is(err, errBusy):
		return queue.Later(turnPause)
	case errors.Is(err, store.ErrFull):
		return queue.Later(fullPause) // what was accepted is not given up for that
	case ctx.Err() == nil && j.Attempts+1 >= maxAttempts:
		log("a job of the outbox is given up")
		return s.endWith(ctx, j, givenUp(t.Kind))
	}
	log("a job of the outbox failed")
	return queue.Retry(retryAfter(j.Attempts))
}

// retryAfter is how long to wait after a number of failures before the last.
func retryAfter(failures int) time.Duration {
	return min(firstRetry<<min(failures, 10), lastRetry)
}

// endWith removes a job; its message fails for the given reasons, if there are any.
func (s *Service) endWith(ctx context.Context, j queue.Job, why ...webhook.Error) queue.Result {
	err := s.Store.Update(ctx, func(tx *store.Tx) error {
		if len(why) > 0 && j.Message != "" {
			err := s.advanceMessage(tx, j.Message, stateFailed, why...)
			if err != nil {
				return err
			}
		}
		return tx.Finish(j.ID)
	})
	if err != nil {
		return queue.Retry(firstRetry)
	}
	s.Deliveries()
	return queue.Done()
}

// do does a job. When it returns nil the job is gone.
func (s *Service) do(ctx context.Context, j queue.Job, t task) error {
	if s.Now().Sub(j.Created) > s.Retention {
		return errFinished // the hosted API drops what could not be delivered, too
	}
	c, err := s.recipient(ctx, j)
	if err != nil {
		return err
	}
	if blocked, err := s.isBlocked(ctx, c.Number); err != nil {
		return err
	} else if blocked {
		return refused(t.Kind)
	}
	switch t.Kind {
	case kindText:
		return s.sendText(ctx, j, c)
	case kindMedia:
		return s.sendMedia(ctx, j, c)
	case kindReceipt:
		return s.sendReceipt(ctx, j, c, t)
	case kindAnswer, kindRepair:
		return s.sendTransport(ctx, c, t)
	case kindRefuse:
		return s.sendRefusal(ctx, c, t)
	case kindInspect:
		return s.inspect(ctx, c, t.Device)
	case kindLost:
		return s.findLost(ctx, j, c, t)
	case kindFirst:
		return s.beginAgain(ctx, j, c, t)
	case kindAgain:
		return s.sendAgain(ctx, c, t)
	case kindBounced:
		return s.sendBounced(ctx, j, c, t)
	}
	return errFinished // written by a newer relay
}

// recipient reads the customer of a job.
func (s *Service) recipient(ctx context.Context, j queue.Job) (c store.Customer, err error) {
	err = s.Store.View(ctx, func(tx *store.Tx) error {
		c, err = tx.CustomerByID(store.CustomerID(j.Lane))
		return err
	})
	if errors.Is(err, seal.ErrTampered) {
		return c, fails(webhook.Unavailable("What the relay kept of the recipient is damaged. Send the message again."))
	}
	if isNotFound(err) {
		return c, errFinished // their key died
	}
	return c, err
}

// sendText sends a message: the ciphertext that an earlier attempt left, or else a
// new one, which is durable before it is sent.
func (s *Service) sendText(ctx context.Context, j queue.Job, c store.Customer) error {
	m, body, err := s.pending(ctx, j.Message, stateAccepted)
	if err != nil {
		return err
	}
	if body.Envelope == nil {
		if body.Envelope, err = s.sealText(ctx, c, m, body); err != nil {
			return err
		}
	}
	s.endTyping(ctx, c)
	err = s.Link.Send(ctx, carrier.Outgoing{ID: m.CarrierID, To: c.Number, Envelope: *body.Envelope, Receipts: true})
	if err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	err = s.Store.Update(ctx, func(tx *store.Tx) error {
		if err := s.advanceMessage(tx, m.ID, stateSent); err != nil {
			return err
		}
		if err := s.awaitAnswer(tx, c.ID, m.ID); err != nil {
			return err
		}
		return tx.Finish(j.ID)
	})
	s.Deliveries()
	return err
}

// pending reads a message that is to be sent and has come to no other state than the
// given one. A receipt says that the customer has it, even when the carrier never said
// that it took it.
func (s *Service) pending(ctx context.Context, id, state string) (m store.Message, body content, err error) {
	err = s.Store.View(ctx, func(tx *store.Tx) error {
		m, body, err = pendingIn(tx, id, state)
		return err
	})
	return m, body, gone(err)
}

// pendingIn is pending within a transaction, for any of some states. It returns
// store.ErrNotFound when there is nothing to send.
func pendingIn(tx *store.Tx, id string, states ...string) (m store.Message, body content, err error) {
	if m, err = tx.Message(id); err != nil {
		return m, body, err
	}
	if body, err = contentOf(m); err != nil {
		return m, body, err
	}
	goes, err := goesWith(tx, body.With)
	if err == nil && (!goes || !slices.Contains(states, m.State)) {
		err = store.ErrNotFound
	}
	return m, body, err
}

// sendTransport sends a message without content: it completes a session, or begins
// a new one. It is not kept for another attempt: that one makes its own.
func (s *Service) sendTransport(ctx context.Context, c store.Customer, t task) error {
	envelope, err := s.sealTransport(ctx, c, t)
	if err != nil {
		return err
	}
	err = s.Link.Send(ctx, carrier.Outgoing{ID: store.NewMessageID(), To: c.Number, Envelope: *envelope})
	if err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	return errFinished
}

// sendRefusal tells a customer's client that its message was not accepted.
func (s *Service) sendRefusal(ctx context.Context, c store.Customer, t task) error {
	if err := s.Link.Refuse(ctx, c.Number, carrier.Refusal{Resource: t.Resource, ID: t.Stanza, Kind: t.Refused}); err != nil {
		return fmt.Errorf("refusing a message: %w", err)
	}
	return errFinished
}

// sendReceipt tells a customer's client what became of its message.
func (s *Service) sendReceipt(ctx context.Context, j queue.Job, c store.Customer, t task) error {
	if t.Stanza != "" {
		if err := s.Link.SendReceipt(ctx, c.Number, t.Stanza, t.Receipt); err != nil {
			return fmt.Errorf("sending a receipt: %w", err)
		}
	}
	if t.Typing && s.Now().Sub(j.Created) < typingTime {
		s.beginTyping(ctx, c)
	}
	return errFinished
}
