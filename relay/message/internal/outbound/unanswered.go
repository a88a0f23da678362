package outbound

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message/internal/peers"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/signal"
	"github.com/relaykeep/relaykeep/relay/store"
)

// A message that begins a session is lost for good when the customer's device no longer has
// the one-time pre-key that the message names: most clients delete a key when another sender
// uses it first, and tell nobody. So when nothing comes back, neither a receipt nor anything in
// the session, the relay begins a new session from the bundle as it is then, and sends the
// message in it under its old stanza id, so that a client that was only away drops the copy.

// firstWait is how long a first message may stay without an answer, and lastWait how long once
// it was sent again: most customers are just away, and each attempt uses up one of their keys.
const (
	firstWait = 10 * time.Minute
	lastWait  = 24 * time.Hour
)

// awaitAnswer queues a later check of a message that was sent, if the message begins a session.
// Nobody can have answered a message that came back: awaitAnswer is called again when that is
// sent.
func (s *Outbound) awaitAnswer(tx *store.Tx, c store.CustomerID, id string) error {
	m, err := tx.Message(id)
	if record.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	body, err := record.ContentOf(m)
	if err != nil || m.State != record.StateSent || body.Waits || body.Resent >= maxResends || len(begins(body)) == 0 {
		return err
	}
	wait := firstWait
	if body.Resent > 0 {
		wait = lastWait
	}
	t := record.Task{Kind: record.KindFirst, Message: id, Since: body.Sealed}
	return s.EnqueueAt(tx, c, "", t, s.Now().Add(wait))
}

// begins returns the devices with which a message begins a session.
func begins(body record.Content) (devices []carrier.DeviceID) {
	if body.Unproven {
		return slices.Collect(maps.Keys(body.For))
	}
	for _, f := range carrier.Formats() {
		devices = append(devices, beginsIn(body, f)...)
	}
	return devices
}

// beginsIn returns those of them with which it begins one in that format, or may have begun one.
func beginsIn(body record.Content, f carrier.Format) (devices []carrier.DeviceID) {
	if body.Unproven {
		return slices.Collect(maps.Keys(body.For))
	}
	for _, e := range []*carrier.Envelope{body.Envelope, body.Other} {
		if e == nil || e.Format != f {
			continue
		}
		for _, k := range e.Keys {
			if k.PreKey {
				devices = append(devices, k.Device)
			}
		}
	}
	return devices
}

// beginAgain begins new sessions with the devices that did not answer a first message, and
// queues everything that they may not have been able to read to be sent in them.
func (s *Outbound) beginAgain(ctx context.Context, j queue.Job, c store.Customer, t record.Task) error {
	silent, err := s.silent(ctx, c, t)
	if err != nil {
		return err
	}
	p, err := s.peers.Fetch(ctx, c, silent, silent.Devices)
	if err != nil {
		return err
	}
	err = s.Store.Update(ctx, func(tx *store.Tx) error {
		_, body, err := unreadIn(tx, t.Message)
		if err != nil {
			return record.Gone(err)
		}
		if body.Waits || !body.Sealed.Equal(t.Since) {
			return record.ErrFinished
		}
		view := s.peers.View(tx, c.ID)
		defer view.Forget()
		p, err := s.peers.Begin(tx, c, p, view)
		if err != nil {
			return err
		}
		if err := s.firstAgain(tx, c.ID, p.Devices); err != nil {
			return err
		}
		return tx.Finish(j.ID)
	})
	return err
}

// silent returns the devices that a first message was for and that did not answer it.
func (s *Outbound) silent(ctx context.Context, c store.Customer, t record.Task) (p peers.Plan, err error) {
	err = s.Store.View(ctx, func(tx *store.Tx) error {
		m, body, err := unreadIn(tx, t.Message)
		if err != nil {
			return err
		}
		// A receipt ends the wait for an answer; only a sign counts after it.
		if t.Kind == record.KindFirst && m.State != record.StateSent || body.Waits || !body.Sealed.Equal(t.Since) {
			return record.ErrFinished // it came back, or was sent again since
		}
		view := s.peers.View(tx, c.ID)
		defer view.Forget()
		p = peers.Plan{}
		for _, f := range slices.Backward(carrier.Formats()) {
			if p, err = silentIn(view, c, body, p, f); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && len(p.Devices) == 0 {
		err = record.ErrFinished
	}
	return p, record.Gone(err)
}

// silentIn adds to a plan the devices that did not answer a message in that format.
func silentIn(view *peers.Sessions, c store.Customer, body record.Content, p peers.Plan, f carrier.Format) (peers.Plan, error) {
	for _, d := range beginsIn(body, f) {
		r, err := view.Record(c.Number, d, f)
		if err != nil {
			return p, err
		}
		if unanswered(r) && view.SameKey(r, body.For[d]) && !slices.Contains(p.Devices, d) {
			p = p.With(d, f)
		}
	}
	return p, nil
}

func unanswered(r *signal.Record) bool { return r.HasSession() && !r.Answered() }

// firstAgain queues, oldest first, the messages that began a session with one of the devices
// and were not confirmed.
func (s *Outbound) firstAgain(tx *store.Tx, c store.CustomerID, devices []carrier.DeviceID) error {
	sent, err := tx.MessagesOf(c, store.Outbound, s.Now(), maxResend)
	if err != nil {
		return err
	}
	for _, m := range slices.Backward(sent) {
		body, err := record.ContentOf(m)
		if err != nil {
			return err
		}
		if !mayBeUnread(m, body) || body.Sealed.IsZero() {
			continue
		}
		to := slices.IndexFunc(begins(body), func(d carrier.DeviceID) bool { return slices.Contains(devices, d) })
		if to < 0 || body.Waits || body.Resent >= maxResends {
			continue
		}
		if err := s.queueAgain(tx, m, 0); err != nil {
			return err
		}
	}
	return nil
}
