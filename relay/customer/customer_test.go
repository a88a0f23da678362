package customer_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/customer"
)

func TestConversationWithReceipts(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *hub, alice, bob *person) {
		alice.says(bob, "hello")
		bob.says(alice, "good day")
		alice.says(bob, "and bye")
	})
}

func TestRestartKeepsDeviceAndSession(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub, alice, bob *person) {
		alice.says(bob, "before")
		device, fingerprint := alice.state.Device()
		alice.stop()
		_, err := bob.Send(t.Context(), alice.number, "while you were out")
		check(t, err)
		again := h.start(t, alice.dir, alice.number)
		defer again.stop()
		if d, f := again.state.Device(); d != device || f != fingerprint {
			t.Error("the device is another after a restart")
		}
		if e := again.next(customer.Received); e.Text != "while you were out" || e.IdentityChanged {
			t.Errorf("received %+v", e)
		}
	})
}

func TestLostSessionsAreRepaired(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub, alice, bob *person) {
		alice.says(bob, "before")
		bob.stop()
		forgetSessions(t, bob.dir)
		again := h.start(t, bob.dir, bob.number)
		defer again.stop()
		_, err := alice.Send(t.Context(), bob.number, "cannot be read")
		check(t, err)
		again.next(customer.Unreadable)
		synctest.Wait() // until both have done what there is to do
		alice.says(again, "can be read")
		again.says(alice, "indeed")
	})
}

func TestPeerWithoutListIsAnsweredAtTheDeviceThatWrote(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub, alice, bob *person) {
		h.mu.Lock()
		delete(h.lists, alice.number)
		h.mu.Unlock()
		if _, err := bob.Send(t.Context(), alice.number, "too early"); !errors.Is(err, customer.ErrNoDevice) {
			t.Errorf("error %v, want ErrNoDevice", err)
		}
		alice.says(bob, "hello")
		bob.says(alice, "found you")
	})
}

func TestLiveDevice_IsUsedWhereverTheListNamesIt(t *testing.T) {
	for name, test := range map[string]struct {
		bundles bool // the others publish one, so that sessions with them begin
		writes  bool // the peer wrote first
	}{
		"it is silent, and the others have no keys": {false, false},
		"it wrote, and the others have no keys":     {false, true},
		"it wrote, and the others have keys":        {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *hub, alice, bob *person) {
				own, _ := bob.state.Device()
				var list []carrier.DeviceID
				h.mu.Lock()
				for i := range 99 {
					d := carrier.DeviceID(9_000_000 + i)
					list = append(list, d)
					if test.bundles {
						h.bundles[bob.number][d] = h.bundles[bob.number][own]
					}
				}
				h.lists[bob.number] = append(list, own)
				h.mu.Unlock()
				h.deliver(alice.number, carrier.DeviceList{Peer: bob.number, Devices: append(list, own)})
				if test.writes {
					bob.says(alice, "here I am")
				}
				alice.says(bob, "found you")
			})
		})
	}
}

func TestUnconfirmedMessageIsSentAgainUnderItsID(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *hub, alice, bob *person) {
		alice.link.mu.Lock()
		alice.link.fail = []error{carrier.ErrOffline, carrier.ErrUnconfirmed, carrier.ErrOffline}
		alice.link.mu.Unlock()
		alice.says(bob, "at last")
	})
}

func TestKeysThatABusyServerDoesNotTakeArePublishedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub, alice, _ *person) {
		h.busy = 3
		carol := h.start(t, t.TempDir(), number(t, "+491703333333"))
		defer carol.stop()
		alice.says(carol, "to who is online, and so has published its keys")
	})
}

func TestRefusedMessageIsAnError(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *hub, alice, bob *person) {
		alice.link.mu.Lock()
		alice.link.fail = []error{carrier.ErrRejected}
		alice.link.mu.Unlock()
		if _, err := alice.Send(t.Context(), bob.number, "no"); !errors.Is(err, carrier.ErrRejected) {
			t.Errorf("error %v, want ErrRejected", err)
		}
	})
}

func TestRepeatedMessageIsShownOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub, alice, bob *person) {
		alice.says(bob, "once")
		alice.link.mu.Lock()
		last := alice.link.last
		alice.link.mu.Unlock()
		h.deliver(bob.number, last)
		alice.says(bob, "next")
	})
}

func TestFlushWaitsForReceipts(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *hub, alice, bob *person) {
		_, err := alice.Send(t.Context(), bob.number, "hello")
		check(t, err)
		bob.next(customer.Received)
		check(t, bob.Flush(t.Context()))
		alice.next(customer.Delivered)
		alice.next(customer.Read)
	})
}
