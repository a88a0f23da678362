package message_test

import (
	"slices"
	"testing"

	"github.com/relaykeep/relaykeep/relay/customer"
)

const alice = "+491701111111"

func TestMessage_ReachesTheBusinessAndItsAnswerTheCustomer(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		a.says(w.number, "is it open?")
		events := w.take()
		if got := texts(events); !slices.Equal(got, []string{"is it open?"}) || events[0].From != "491701111111" {
			t.Fatalf("the business got %+v", events)
		}
		if len(a.all(customer.Delivered)) != 1 {
			t.Error("the customer got no delivery receipt")
		}
		id := w.says(a.number, "until six")
		events = w.take()
		if got := a.got(); !slices.Equal(got, []string{"until six"}) {
			t.Errorf("the customer got %q", got)
		}
		if got := statuses(events, id); !slices.Equal(got, []string{"sent", "delivered", "read"}) {
			t.Errorf("statuses are %q", got)
		}
		if events[0].Opaque != "opaque" || events[0].Recipient != "491701111111" {
			t.Errorf("the status is %+v", events[0])
		}
	})
}

func TestBusiness_MayWriteFirst(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		id := w.says(a.number, "your parcel is here")
		if got := statuses(w.take(), id); !slices.Equal(got, []string{"sent", "delivered", "read"}) {
			t.Errorf("statuses are %q", got)
		}
		a.says(w.number, "thanks")
		if got := texts(w.take()); !slices.Equal(got, []string{"thanks"}) {
			t.Errorf("the business got %q", got)
		}
	})
}
