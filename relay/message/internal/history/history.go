// Package history says what became of the business's messages, as far as the store still has them. It
// must not know how that came about.
package history

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// ErrUnknown means that the business sent no such message, or that it is no longer stored.
var ErrUnknown = errors.New("the business sent no such message")

// Sent is what became of one message of the business. It says nothing about whom it went to.
type Sent struct {
	Place  int64 // in the order in which messages were written, the youngest last
	ID     string
	Events []Event // oldest first
}

// Event is a state that the message came into, about which the business gets a webhook.
type Event struct {
	State   string // one of those of package record
	At      time.Time
	Failure string // why it failed; may be empty
	Webhook Webhook
}

// Webhook is what became of an event's webhook.
type Webhook string

// What may have become of a webhook. Unknown is one that an earlier relay may have dropped, because its time was up.
const (
	Unknown   Webhook = ""
	Pending   Webhook = "pending"
	Retrying  Webhook = "retrying"
	Delivered Webhook = "delivered"
	Failed    Webhook = "failed" // it is a dead letter
)

// Query says which messages to return.
type Query struct {
	From  int64 // those behind this place; zero for the youngest
	Back  bool  // those younger than From, of which the oldest
	Limit int
}

// Page is the answer to a Query.
type Page struct {
	Sent []Sent // youngest first
	To   int64  // the place that was read to, for the next Query
	More bool   // there may be more
}

// History reads what became of messages.
type History struct{ *base.Base }

// New returns a History.
func New(b *base.Base) *History { return &History{b} }

// Page returns at most Limit messages. It looks at no more messages than store.Tx.Outgoing does, so
// that a page may have fewer, or none, although there are more.
func (h *History) Page(ctx context.Context, q Query) (p Page, err error) {
	err = h.Store.View(ctx, func(tx *store.Tx) error {
		p = Page{}
		var found []store.Placed
		p.To, p.More, err = tx.Outgoing(q.From, q.Back, func(m store.Placed) bool {
			if business(m.Message) {
				found = append(found, m)
			}
			return len(found) < q.Limit
		})
		if err != nil {
			return err
		}
		if q.Back {
			slices.Reverse(found)
		}
		p.Sent, err = h.become(tx, found)
		return err
	})
	if err != nil {
		return Page{}, fmt.Errorf("reading what became of messages: %w", err)
	}
	return p, nil
}

// At returns the message at a place, or ErrUnknown; ByID the one with an id.
func (h *History) At(ctx context.Context, place int64) (Sent, error) {
	return h.one(ctx, func(*store.Tx) (int64, error) { return place, nil })
}

// ByID returns the message with an id, or ErrUnknown.
func (h *History) ByID(ctx context.Context, id string) (Sent, error) {
	return h.one(ctx, func(tx *store.Tx) (int64, error) { return tx.PlaceOf(id) })
}

func (h *History) one(ctx context.Context, find func(*store.Tx) (int64, error)) (s Sent, err error) {
	err = h.Store.View(ctx, func(tx *store.Tx) error {
		place, err := find(tx)
		if err != nil {
			return err
		}
		m, err := tx.OutgoingAt(place)
		if err != nil {
			return err
		}
		if !business(m) {
			return ErrUnknown
		}
		all, err := h.become(tx, []store.Placed{{Place: place, Message: m}})
		if err == nil {
			s = all[0]
		}
		return err
	})
	switch {
	case errors.Is(err, ErrUnknown), record.IsNotFound(err):
		return Sent{}, ErrUnknown
	case err != nil:
		return Sent{}, fmt.Errorf("reading what became of a message: %w", err)
	}
	return s, nil
}

// business says whether the business knows an outgoing message.
func business(m store.Message) bool {
	return m.Type != record.TypeCaption && m.Type != record.TypeNotice
}

// become says what became of messages.
func (h *History) become(tx *store.Tx, found []store.Placed) ([]Sent, error) {
	waiting, err := waitingFor(tx, found, h.Now())
	if err != nil {
		return nil, err
	}
	all := make([]Sent, 0, len(found))
	for _, m := range found {
		s := Sent{Place: m.Place, ID: m.ID, Events: eventsOf(m.Message)}
		for i, e := range s.Events {
			state, waits := waiting[told{m.ID, e.State}]
			switch {
			case waits:
				e.Webhook = state
			case h.Now().Sub(e.At) <= webhook.TriedFor(h.Retention):
				e.Webhook = Delivered
			}
			s.Events[i] = e
		}
		all = append(all, s)
	}
	return all, nil
}

// eventsOf are the states that a message came into. Of one that an earlier relay wrote only the last is
// known.
func eventsOf(m store.Message) (events []Event) {
	add := func(state string, at time.Time, failure string) {
		if told := m.Type != record.TypeReaction || state == record.StateSent || state == record.StateFailed; told && !at.IsZero() {
			events = append(events, Event{State: state, At: at, Failure: failure})
		}
	}
	sent, delivered := m.Sent, m.Delivered
	switch m.State {
	case record.StateSent:
		sent = m.Updated
	case record.StateDelivered:
		delivered = m.Updated
	}
	add(record.StateSent, sent, "")
	add(record.StateDelivered, delivered, "")
	switch m.State {
	case record.StateRead:
		add(record.StateRead, m.Updated, "")
	case record.StateFailed:
		body, _ := record.ContentOf(m) // that it failed is known even if its content is damaged
		add(record.StateFailed, m.Updated, body.Failure)
	}
	return events
}

// told is what a webhook tells: that a message came into a state.
type told struct{ message, state string }

// maxWaiting bounds how many webhooks of one customer are read.
const maxWaiting = 1000

// waitingFor returns what became of the webhooks about messages that were not delivered.
func waitingFor(tx *store.Tx, found []store.Placed, now time.Time) (map[told]Webhook, error) {
	of := map[store.CustomerID]map[string]bool{}
	for _, m := range found {
		if of[m.Customer] == nil {
			of[m.Customer] = map[string]bool{}
		}
		of[m.Customer][m.ID] = true
	}
	waiting := map[told]Webhook{}
	for customer, ids := range of {
		for _, queue := range []string{base.QueueDead, base.QueueWebhook} {
			jobs, _, err := tx.DueOf(store.Wanted{
				Queue: queue, Customer: customer, Now: now.Add(aYear), Limit: maxWaiting,
				Skip: func(j store.Job) bool { return !ids[j.Message] },
			})
			if err != nil {
				return nil, err
			}
			for _, j := range jobs {
				_, body, _ := record.LetterOf(j.Body)
				if state := webhook.StatusIn(body); state != "" {
					waiting[told{j.Message, state}] = stateOf(j)
				}
			}
		}
	}
	return waiting, nil
}

// stateOf is the state of a webhook that was not delivered.
func stateOf(j store.Job) Webhook {
	switch {
	case j.Queue == base.QueueDead:
		return Failed
	case j.Attempts > 0:
		return Retrying
	}
	return Pending
}

// aYear is longer than any webhook is put off.
const aYear = 365 * 24 * time.Hour

// Counts returns how many messages were sent and delivered in the half hours between two times.
func (h *History) Counts(ctx context.Context, from, to time.Time) (counts []store.Count, err error) {
	err = h.Store.View(ctx, func(tx *store.Tx) (err error) {
		counts, err = tx.Counts(from, to)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading how many messages were sent: %w", err)
	}
	return counts, nil
}
