package store_test

import (
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/store"
)

func TestOptOut_IsKeptUntilItIsTakenBack(t *testing.T) {
	w := newWorld(t)
	is := func(digits string) (when time.Time) {
		t.Helper()
		n, err := phone.Parse(digits)
		if err != nil {
			t.Fatal(err)
		}
		w.view(func(tx *store.Tx) (err error) { when, err = tx.OptedOut(n); return err })
		return when
	}
	put := func(digits string, at time.Time) {
		t.Helper()
		n, err := phone.Parse(digits)
		if err != nil {
			t.Fatal(err)
		}
		w.update(func(tx *store.Tx) error { return tx.PutOptOut(n, at) })
	}
	const one, two = "+15551234567", "+15551234568"
	put(one, start)
	w.reopen()
	if !is(one).Equal(start) || !is(two).IsZero() {
		t.Errorf("opted out: %v, %v", is(one), is(two))
	}
	put(one, start.Add(time.Hour))
	if !is(one).Equal(start.Add(time.Hour)) {
		t.Errorf("a second time: %v", is(one))
	}
	// It outlives what is kept of the customer.
	if _, err := w.Sweep(t.Context(), start.Add(1000*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if is(one).IsZero() {
		t.Error("the retention ends an opt-out")
	}
	put(one, time.Time{})
	put(two, time.Time{})
	if !is(one).IsZero() {
		t.Error("what was taken back is there")
	}
}
