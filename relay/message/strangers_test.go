package message_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/test/racing"
)

// crowd is how many strangers write at once: ten for each one-time pre-key.
const crowd = 1000

// fewer is how many write in the tests that also stop the relay or break its link: three for each one-time pre-key.
const fewer = crowd * 3 / 10

// stranger makes a customer whose state is in memory and who runs until the test's end.
func (w *world) stranger(i int) *person {
	w.t.Helper()
	p := &person{t: w.t, world: w, number: number(w.t, fmt.Sprintf("+1555017%04d", i))}
	state, err := customer.NewState(p.number)
	check(w.t, err)
	p.carrier = w.hub.Carrier(p.number)
	p.Customer = customer.New(customer.Options{State: state, Carrier: p.carrier})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	p.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			check(p.t, err)
		}
	})
	w.t.Cleanup(p.stop)
	return p
}

// strangers makes n of them.
func (w *world) strangers(n int) []*person {
	all := make([]*person, n)
	for i := range all {
		all[i] = w.stranger(i)
	}
	w.settle()
	return all
}

// writeAtOnce has everybody fetch our keys and write, all at once.
func (w *world) writeAtOnce(all []*person) {
	w.t.Helper()
	var group sync.WaitGroup
	for i, p := range all {
		group.Go(func() {
			if _, err := p.Send(context.Background(), w.number, fmt.Sprintf("first words of %d", i)); err != nil {
				w.t.Errorf("sending: %v", err)
			}
		})
	}
	group.Wait()
}

// heard wants everybody's first words to have come, once each.
func (w *world) heard(all []*person) {
	w.t.Helper()
	times, unreadable := map[string]int{}, 0
	for _, e := range w.take() {
		if times[e.Text]++; e.Type != "text" {
			unreadable++
		}
	}
	lost := 0
	for i := range all {
		if times[fmt.Sprintf("first words of %d", i)] != 1 {
			lost++
		}
	}
	if lost > 0 || unreadable > 0 {
		w.t.Errorf("of %d first messages %d did not come once, %d events say that one is unreadable", len(all), lost, unreadable)
	}
}

func TestStrangers_AThousandAtOnceAreAllRead(t *testing.T) {
	racing.SkipExhaustive(t)
	inBubble(t, func(t *testing.T, w *world) {
		all := w.strangers(crowd)
		w.writeAtOnce(all)
		w.heard(all)
	})
}

func TestStrangers_WhileTheRelayIsDownAreAllRead(t *testing.T) {
	racing.SkipExhaustive(t)
	inBubble(t, func(t *testing.T, w *world) {
		all := w.strangers(fewer)
		w.stop()
		w.writeAtOnce(all)
		elapse(time.Minute)
		w.start()
		w.heard(all)
	})
}

func TestStrangers_OnABreakingLinkAreAllRead(t *testing.T) {
	racing.SkipExhaustive(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	faults := &faults{random: rand.New(rand.NewPCG(seed, 0))}
	inBubbleWith(t, func(w *world) {
		w.wire = func(l message.Carrier) message.Carrier { return &broken{Carrier: l, world: w, faults: faults} }
	}, func(t *testing.T, w *world) {
		all := w.strangers(fewer)
		w.hub.Change(func() { w.hub.Cuts = func(to phone.Number) bool { return to == w.number && faults.hit(20) } })
		faults.oneIn(3)
		// In waves, so that many publications fail between those that write.
		wave := len(all) / 10
		for from := 0; from < len(all); from += wave {
			var group sync.WaitGroup
			for i, p := range all[from : from+wave] {
				group.Go(func() {
					if _, err := p.Send(context.Background(), w.number, fmt.Sprintf("first words of %d", from+i)); err != nil {
						t.Errorf("sending: %v", err)
					}
				})
			}
			group.Wait()
			elapse(time.Second)
		}
		elapse(time.Minute)
		faults.oneIn(0)
		w.hub.Change(func() { w.hub.Cuts = nil })
		elapse(time.Minute)
		synctest.Wait()
		w.heard(all)
	})
}

// faults says when something breaks.
type faults struct {
	mu     sync.Mutex
	random *rand.Rand
	n      int // one call in n breaks; none when it is 0
}

func (f *faults) oneIn(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n = n
}

// hit says whether this call breaks, in about one of n, once anything may.
func (f *faults) hit(n int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n > 0 && f.random.IntN(n) == 0
}

// broken is a link that breaks before, or after, the carrier did what it was asked.
type broken struct {
	message.Carrier
	world  *world
	faults *faults
}

func (b *broken) broke(do func() error) error {
	if b.faults.hit(3) {
		go b.world.carrier.Reconnect()
		return carrier.ErrOffline
	}
	after := b.faults.hit(3)
	if err := do(); err != nil || !after {
		return err
	}
	go b.world.carrier.Reconnect()
	return carrier.ErrUnconfirmed
}

func (b *broken) PublishBundle(ctx context.Context, d carrier.DeviceID, bundle carrier.Bundle) error {
	return b.broke(func() error { return b.Carrier.PublishBundle(ctx, d, bundle) })
}

func (b *broken) Send(ctx context.Context, o carrier.Outgoing) error {
	return b.broke(func() error { return b.Carrier.Send(ctx, o) })
}
