package store_test

import (
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/store"
)

// counts returns what was counted between two times.
func (w *world) counts(from, to time.Time) (found []store.Count) {
	w.t.Helper()
	w.view(func(tx *store.Tx) (err error) {
		found, err = tx.Counts(from, to)
		return err
	})
	return found
}

func (w *world) sent(at time.Time, sent, delivered int64) {
	w.t.Helper()
	w.update(func(tx *store.Tx) error { return tx.AddCount(at, sent, delivered) })
}

func TestCounts_AddUpByHalfHours(t *testing.T) {
	w := newWorld(t)
	w.sent(start, 1, 0)
	w.sent(start.Add(29*time.Minute), 1, 1)
	w.sent(start.Add(30*time.Minute), 0, 1)
	w.reopen()
	first, second := store.Count{Start: start, Sent: 2, Delivered: 1}, store.Count{Start: start.Add(30 * time.Minute), Delivered: 1}
	equal(t, "all", w.counts(time.Unix(0, 0), start.Add(time.Hour)), []store.Count{first, second})
	equal(t, "from the second on", w.counts(start.Add(time.Second), start.Add(time.Hour)), []store.Count{second})
	equal(t, "before the second", w.counts(start, start.Add(30*time.Minute)), []store.Count{first})
	wantIs(t, w.Update(t.Context(), func(tx *store.Tx) error { return tx.AddCount(start, -1, 0) }), store.ErrInvalid)
}

func TestCounts_GoWithTheRetention(t *testing.T) {
	w := newWorld(t)
	w.sent(start, 1, 1)
	w.sent(start.Add(time.Hour), 1, 1)
	if _, err := w.Sweep(t.Context(), start.Add(30*time.Minute)); err != nil {
		t.Fatal(err)
	}
	equal(t, "what is left", w.counts(time.Unix(0, 0), start.Add(24*time.Hour)), []store.Count{{Start: start.Add(time.Hour), Sent: 1, Delivered: 1}})
}

// The counts say nothing about a person, so erasing one leaves them.
func TestCounts_StayWhenACustomerIsErased(t *testing.T) {
	w := newWorld(t)
	c := w.customer("+15551234567")
	w.message(c, "hello")
	w.sent(start, 1, 1)
	w.update(func(tx *store.Tx) error { return tx.EraseCustomer(c) })
	if got := w.counts(start, start.Add(time.Hour)); len(got) != 1 {
		t.Errorf("counted %v", got)
	}
}

func TestOutgoing_LeadsThroughTheBusinesssMessagesBothWays(t *testing.T) {
	w := newWorld(t)
	c := w.customer("+15551234567")
	var ids []string
	for i := range 5 {
		m := store.Message{
			ID: store.NewMessageID(), Direction: store.Outbound, Customer: c, Type: "text", State: "delivered", Created: start,
			Sent: start.Add(time.Duration(i) * time.Second), Updated: start.Add(time.Minute),
		}
		in := m
		in.ID, in.Direction = store.NewMessageID(), store.Inbound
		w.update(func(tx *store.Tx) error {
			if err := tx.PutMessage(in); err != nil {
				return err
			}
			return tx.PutMessage(m)
		})
		ids = append([]string{m.ID}, ids...)
	}
	read := func(from int64, back bool, limit int) (found []store.Placed, to int64, more bool) {
		w.view(func(tx *store.Tx) (err error) {
			to, more, err = tx.Outgoing(from, back, func(m store.Placed) bool {
				found = append(found, m)
				return len(found) < limit
			})
			return err
		})
		return found, to, more
	}
	var seen []string
	var all []store.Placed
	for from, more := int64(0), true; more; {
		var found []store.Placed
		found, from, more = read(from, false, 2)
		for _, m := range found {
			seen, all = append(seen, m.ID), append(all, m)
		}
	}
	equal(t, "youngest first", seen, ids)
	equal(t, "sent", all[0].Sent, start.Add(4*time.Second))
	back, _, more := read(all[3].Place, true, 2)
	equal(t, "back", []string{back[0].ID, back[1].ID}, []string{ids[2], ids[1]})
	equal(t, "more", more, true)
	w.view(func(tx *store.Tx) error {
		m, err := tx.OutgoingAt(all[1].Place)
		equal(t, "at a place", m.ID, ids[1])
		_, none := tx.OutgoingAt(all[1].Place - 1) // the customer's
		wantIs(t, none, store.ErrNotFound)
		place, _ := tx.PlaceOf(ids[1])
		equal(t, "place", place, all[1].Place)
		return err
	})
}

// A store of a build without counts goes on, and its messages have no times.
func TestCounts_OfAnEarlierBuild(t *testing.T) {
	ofFiles(t)
	w := newWorld(t)
	c := w.customer("+15551234567")
	id := w.message(c, "hello")
	w.reopened(func() {
		w.sql(`DROP TABLE log_entries`, `DROP TABLE log_hashes`, `DROP TABLE meter_days`, `DROP TABLE meter_hours`, `DROP TABLE requests`, `DROP TABLE counts`, `PRAGMA user_version = 8`)
	})
	w.sent(start, 1, 0)
	w.view(func(tx *store.Tx) error {
		m, err := tx.Message(id)
		if !m.Sent.IsZero() || !m.Delivered.IsZero() {
			t.Error("it has times")
		}
		return err
	})
}
