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
		h.Change(func() { delete(h.Lists, alice.number) })
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
				h.Change(func() {
					for i := range 99 {
						d := carrier.DeviceID(9_000_000 + i)
						list = append(list, d)
						if test.bundles {
							h.Bundles[bob.number][d] = h.Bundles[bob.number][own]
						}
					}
					h.Lists[bob.number] = append(list, own)
				})
				h.Deliver(alice.number, carrier.DeviceList{Peer: bob.number, Devices: append(list, own)})
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
		alice.carrier.Fail(false, carrier.ErrOffline, carrier.ErrUnconfirmed, carrier.ErrOffline)
		alice.says(bob, "at last")
	})
}

func TestKeysThatABusyServerDoesNotTakeArePublishedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub, alice, _ *person) {
		h.Change(func() { h.Busy = 3 })
		carol := h.start(t, t.TempDir(), number(t, "+491703333333"))
		defer carol.stop()
		alice.says(carol, "to who is online, and so has published its keys")
	})
}

func TestRefusedMessageIsAnError(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *hub, alice, bob *person) {
		alice.carrier.Fail(false, carrier.ErrRejected)
		if _, err := alice.Send(t.Context(), bob.number, "no"); !errors.Is(err, carrier.ErrRejected) {
			t.Errorf("error %v, want ErrRejected", err)
		}
	})
}

func TestRepeatedMessageIsShownOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub, alice, bob *person) {
		alice.says(bob, "once")
		last := alice.carrier.LastText()
		h.Deliver(bob.number, last)
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
