package link_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/test/await"
	"github.com/relaykeep/relaykeep/test/customers"
	"github.com/relaykeep/relaykeep/test/services/faultproxy"
	"github.com/relaykeep/relaykeep/test/services/prosody"
)

// strangers is how many write to a business for the first time: two for each of its
// one-time pre-keys, so that nearly every key is chosen by several.
const strangers = 200

// TestStrangers_TwoHundredAreAllRead has customers who never wrote to a business do so at once, each with a
// client of its own at a real server. It is the same customers each time, to another business.
func TestStrangers_TwoHundredAreAllRead(t *testing.T) {
	if testing.Short() {
		t.Skip("a minute with a real server")
	}
	s := prosody.StartT(t, prosody.Options{Registration: true})
	first := join200(t, s)
	t.Run("at once", func(t *testing.T) {
		r := startRelay(t, s, "+15550100011", 1011)
		r.published(t, first[0], 1011)
		writeFirst(t, first, r.number)
		r.readEverybody(t)
	})
	t.Run("while the relay is down", func(t *testing.T) {
		h := newHouse(t, "+15550100012", 1012)
		r, stop := h.run(t, s)
		r.published(t, first[0], 1012)
		stop()
		writeFirst(t, first, r.number)
		r, stop = h.run(t, s)
		t.Cleanup(stop)
		r.readEverybody(t)
	})
	t.Run("while the link is cut at random", func(t *testing.T) {
		p := faultproxy.StartT(t, s)
		r := startRelay(t, p, "+15550100013", 1013)
		r.published(t, first[0], 1013)
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		random, faults, broke := rand.New(rand.NewPCG(seed, 0)), faultproxy.Faults(), 0
		p.Follow(func(faultproxy.Way, []byte) faultproxy.Fault {
			// No more than these: on a busy machine a link that never lasts reads nobody.
			if broke == 40 || random.IntN(40) > 0 {
				return faultproxy.Pass
			}
			broke++
			return faults[random.IntN(len(faults))]
		})
		writeFirst(t, first, r.number)
		r.readEverybody(t)
		p.Follow(func(faultproxy.Way, []byte) faultproxy.Fault { return faultproxy.Pass })
		if t.Logf("%d faults", broke); broke == 0 {
			t.Error("the link was never cut")
		}
	})
}

// published waits until a stranger finds the relay's keys.
func (r *relay) published(t *testing.T, to *writer, device carrier.DeviceID) {
	t.Helper()
	await.Until(t, "published keys", func() bool {
		b, err := to.Carrier.Bundle(t.Context(), r.number, device, carrier.Legacy)
		return err == nil && len(b.PreKeys) == 100
	})
	await.Until(t, "published device list", func() bool {
		_, err := to.Carrier.Devices(t.Context(), r.number, carrier.Legacy)
		return err == nil
	})
}

// join200 makes strangers and waits until they are online.
func join200(t *testing.T, at customers.Carrier) []*writer {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	all := make([]*writer, strangers)
	var joining errgroup.Group
	joining.SetLimit(8)
	for i := range all {
		joining.Go(func() (err error) {
			all[i], err = join(ctx, where(at), fmt.Sprintf("+155503%05d", i))
			return err
		})
	}
	check(t, joining.Wait())
	return all
}

// writeFirst has everybody write at once, and returns when the server has it all.
func writeFirst(t *testing.T, all []*writer, to phone.Number) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	defer cancel()
	var group sync.WaitGroup
	for i, c := range all {
		group.Go(func() {
			if _, err := c.Send(ctx, to, fmt.Sprintf("first words of %d", i)); err != nil {
				t.Errorf("sending: %v", err)
			}
		})
	}
	group.Wait()
}

// readEverybody wants the first words of all to come, once each.
func (r *relay) readEverybody(t *testing.T) {
	t.Helper()
	await.Until(t, "a word of everybody", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.texts)+r.strange >= strangers
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.texts) != strangers || r.strange > 0 {
		t.Errorf("of %d first messages %d were read, %d could not be", strangers, len(r.texts), r.strange)
	}
	for text, ids := range r.texts {
		if len(ids) != 1 {
			t.Errorf("%q came as %d messages", text, len(ids))
		}
	}
}
