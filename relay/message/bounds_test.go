package message_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/test/racing"
)

// devices returns what the store knows of a customer's devices.
func (w *world) devices(p *person) (known []store.Device) {
	w.t.Helper()
	check(w.t, w.store.View(context.Background(), func(tx *store.Tx) error {
		c, err := tx.Customer(p.number)
		if err != nil {
			return err
		}
		known, err = tx.Devices(c.ID)
		return err
	}))
	return known
}

func TestInventedDevicesFillNothingAndHoldNobodyUp(t *testing.T) {
	racing.SkipExhaustive(t)
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a, b := w.customer(dir+"/a", alice), w.customer(dir+"/b", "+491702222222")
		a.says(w.number, "hello")
		w.take()
		next := carrier.DeviceID(1_000_000)
		for range 50 { // thousands of devices, in lists that are as long as lists may be
			var list []carrier.DeviceID
			for range 100 {
				list = append(list, next)
				next++
			}
			check(t, w.brings(carrier.DeviceList{Peer: a.number, Devices: list}))
		}
		if n := len(w.devices(a)); n > 2*omemo.MaxDevices {
			t.Errorf("%d devices are known", n)
		}
		b.says(w.number, "unmoved")
		id := w.says(b.number, "likewise")
		events := w.take()
		if !slices.Contains(texts(events), "unmoved") || len(statuses(events, id)) != 3 {
			t.Errorf("another customer's conversation is %+v", events)
		}
		// The true list mends it.
		check(t, w.brings(carrier.DeviceList{Peer: a.number, Devices: w.hub.Devices(a.number)}))
		id = w.says(a.number, "again")
		if got := statuses(w.take(), id); len(got) != 3 {
			t.Errorf("statuses after the true list are %q", got)
		}
	})
}

func TestDeviceThatIsLongGoneIsNotAskedForWithEveryMessage(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		gone := carrier.DeviceID(99)
		w.settle()
		check(t, a.carrier.PublishDevices(t.Context(), carrier.Legacy, append(w.hub.Devices(a.number), gone)))
		asked := func() int {
			return w.carrier.Fetches()
		}
		send := func() {
			t.Helper()
			id := w.says(a.number, "hello")
			if got := statuses(w.take(), id); len(got) != 3 {
				t.Errorf("statuses are %q", got)
			}
		}
		send()
		before := asked()
		for range 5 {
			send() // 5 seconds each
		}
		if n := asked() - before; n != 0 {
			t.Errorf("asked %d times within a minute", n)
		}
		elapse(time.Minute)
		send()
		if n := asked() - before; n != 1 {
			t.Errorf("asked %d times after a minute", n)
		}
	})
}

// lists publishes a list of dead devices with the customer's own at its end.
func (p *person) lists(dead int) []carrier.DeviceID {
	p.t.Helper()
	p.world.settle()
	own := p.world.hub.Devices(p.number)
	devices := make([]carrier.DeviceID, 0, dead+len(own))
	for i := range dead {
		devices = append(devices, carrier.DeviceID(9_000_000+i))
	}
	devices = append(devices, own...)
	check(p.t, p.carrier.PublishDevices(p.t.Context(), carrier.Legacy, devices))
	return devices
}

func TestLiveDevice_IsUsedWhereverTheListNamesIt(t *testing.T) {
	for name, test := range map[string]struct {
		dead   int
		writes bool // the customer wrote first
	}{
		"73 before it, and it wrote":     {73, true},
		"999 before it, and it wrote":    {999, true},
		"73 before it, and it is silent": {73, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			inBubble(t, func(t *testing.T, w *world) {
				a := w.customer(dir, alice)
				devices := a.lists(test.dead)
				if test.writes {
					a.says(w.number, "here I am")
					w.take()
				}
				check(t, w.brings(carrier.DeviceList{Peer: a.number, Devices: devices}))
				for range 2 {
					id := w.says(a.number, "found you")
					if got := statuses(w.take(), id); !slices.Equal(got, []string{"sent", "delivered", "read"}) {
						t.Errorf("statuses are %q", got)
					}
				}
				if n := len(w.devices(a)); n > 2*omemo.MaxDevices {
					t.Errorf("%d devices are known", n)
				}
			})
		})
	}
}

// TestLiveDevice_IsPreferredToManyThatOnlyHaveSessions: each of the others publishes a
// bundle, so that a session with it begins.
func TestLiveDevice_IsPreferredToManyThatOnlyHaveSessions(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		devices := a.lists(100)
		own := devices[len(devices)-1]
		for _, d := range devices {
			check(t, a.carrier.PublishBundle(t.Context(), d, w.hub.Bundle(a.number, own)))
		}
		w.says(a.number, "to the first that there are")
		w.take()
		a.says(w.number, "here I am")
		w.take()
		id := w.says(a.number, "found you")
		if got := statuses(w.take(), id); !slices.Equal(got, []string{"sent", "delivered", "read"}) {
			t.Errorf("statuses are %q", got)
		}
	})
}
