package message_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/message"
)

// busyCarrier does not acknowledge receipts until it is free, and counts how often it is asked to.
type busyCarrier struct {
	message.Carrier
	free  chan struct{}
	calls atomic.Int64
}

func (b *busyCarrier) SendReceipts(ctx context.Context, receipts ...carrier.OutgoingReceipt) error {
	b.calls.Add(1)
	select {
	case <-b.free:
		return b.Carrier.SendReceipts(ctx, receipts...)
	case <-ctx.Done():
		return carrier.ErrUnconfirmed
	}
}

// onBusyCarrier runs a test with a customer who knows the business, on a carrier that acknowledges no receipts.
func onBusyCarrier(t *testing.T, test func(w *world, a *person, b *busyCarrier)) {
	dir := t.TempDir()
	b := &busyCarrier{}
	inBubbleWith(t, func(w *world) {
		w.wire = func(c message.Carrier) message.Carrier {
			b.Carrier, b.free = c, make(chan struct{})
			close(b.free)
			return b
		}
	}, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		a.says(w.number, "hello")
		w.says(a.number, "hello to you")
		w.take()
		b.free = make(chan struct{})
		b.calls.Store(0)
		test(w, a, b)
	})
}

// Customers may write faster than a busy carrier acknowledges.
func TestReceipts_NeverKeepATextWaiting(t *testing.T) {
	onBusyCarrier(t, func(w *world, a *person, b *busyCarrier) {
		for i := range 3 {
			a.says(w.number, fmt.Sprintf("question %d", i))
		}
		id := w.says(a.number, "the answer to all")
		if !w.encrypted(id) {
			t.Error("the answer was not encrypted when it was accepted")
		}
		w.take()
		if got := a.got(); !slices.Equal(got, []string{"hello to you", "the answer to all"}) {
			t.Errorf("the customer got %q before the receipts", got)
		}
		close(b.free)
		w.take()
		if got := len(a.all(customer.Delivered)); got != 4 {
			t.Errorf("the customer got %d receipts, want 4", got)
		}
	})
}

func TestReceipts_ThatWaitAreSentTogether(t *testing.T) {
	onBusyCarrier(t, func(w *world, a *person, b *busyCarrier) {
		const written = 500
		for i := range written {
			a.says(w.number, fmt.Sprintf("question %d", i))
		}
		w.take()
		close(b.free)
		w.take()
		if got := len(a.all(customer.Delivered)); got != 1+written {
			t.Errorf("the customer got %d receipts, want %d", got, 1+written)
		}
		if got := b.calls.Load(); got > written/8 {
			t.Errorf("%d receipts were sent in %d parts", written, got)
		}
	})
}
