package message_test

import (
	"bytes"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/store"
)

// system returns the events of identity keys among events.
func system(events []event) []event {
	return slices.DeleteFunc(slices.Clone(events), func(e event) bool { return e.Type != "system" })
}

// saysTo has the business send a text to the device with an identity key.
func (w *world) saysTo(a *person, hash, text string) string {
	w.t.Helper()
	w.keepSecret(text)
	id, err := w.AcceptText(w.t.Context(), message.Text{To: a.number, Body: text, IdentityHash: hash})
	check(w.t, err)
	return id
}

// under runs a test with a way to trust, a customer's phone that has written, and a
// directory for the state of a second device.
func under(t *testing.T, trust omemo.Trust, test func(t *testing.T, w *world, phone *person, second string)) {
	first, second := t.TempDir(), t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		w.account.Trust = trust
		a := w.customer(first, alice)
		a.says(w.number, "hello")
		if events := w.take(); len(system(events)) != 0 || len(texts(events)) != 1 {
			t.Fatalf("at a first meeting the business got %+v", events)
		}
		test(t, w, a, second)
	})
}

func TestBlindTrust_BusinessLearnsOfANewDevice(t *testing.T) {
	under(t, omemo.Blind, func(t *testing.T, w *world, a *person, dir string) {
		a.stop()
		b := w.customer(dir, alice)
		b.says(w.number, "my new phone")
		events := w.take()
		news := system(events)
		if len(news) != 1 || !news[0].Accepted || news[0].From != a.number.Digits() {
			t.Fatalf("the business got %+v", events)
		}
		if got := events[len(events)-1]; got.Text != "my new phone" || got.Identity != news[0].Identity {
			t.Errorf("the message came as %+v, the device as %+v", got, news[0])
		}
		b.says(w.number, "and again")
		if got := system(w.take()); len(got) != 0 || w.Count(message.EventNewDevice) != 1 {
			t.Errorf("the business got %+v, %d counted", got, w.Count(message.EventNewDevice))
		}
	})
}

func TestBlindTrust_BusinessLearnsOfADeviceThatTheCarrierLists(t *testing.T) {
	under(t, omemo.Blind, func(t *testing.T, w *world, a *person, dir string) {
		w.customer(dir, alice) // publishes itself and never writes
		check(t, w.brings(carrier.DeviceList{Peer: a.number, Devices: w.hub.Devices(a.number)}))
		w.says(a.number, "to both")
		if got := system(w.take()); len(got) != 1 || !got[0].Accepted {
			t.Errorf("the business got %+v", got)
		}
	})
}

func TestFirstUseTrust_BusinessLearnsOfADeviceThatTheCarrierLists(t *testing.T) {
	under(t, omemo.FirstUse, func(t *testing.T, w *world, a *person, dir string) {
		b := w.customer(dir, alice)
		check(t, w.brings(carrier.DeviceList{Peer: a.number, Devices: w.hub.Devices(a.number)}))
		if got := system(w.take()); len(got) != 1 || got[0].Accepted {
			t.Errorf("the business got %+v", got)
		}
		w.says(a.number, "for the first only")
		w.take()
		if len(b.got()) != 0 || len(b.all("unreadable")) != 0 {
			t.Error("something was sent to the new device")
		}
	})
}

func TestFirstUseTrust_DeviceIsAcceptedByNamingItsKey(t *testing.T) {
	under(t, omemo.FirstUse, func(t *testing.T, w *world, a *person, dir string) {
		a.stop() // the hub serves one device of a number at a time
		b := w.customer(dir, alice)
		b.says(w.number, "refused")
		news := system(w.take())
		if len(news) != 1 || news[0].Accepted {
			t.Fatalf("the business got %+v", news)
		}
		b.says(w.number, "refused again")
		if got := w.take(); len(system(got)) != 0 || len(texts(got)) != 0 {
			t.Errorf("the business got %+v", got)
		}
		id := w.saysTo(a, news[0].Identity, "welcome, new phone")
		if got := statuses(w.take(), id); !slices.Equal(got, []string{"sent", "delivered", "read"}) {
			t.Errorf("statuses are %q", got)
		}
		alone := w.carrier.Texts()
		w.says(a.number, "to both")
		b.says(w.number, "thank you")
		if got := texts(w.take()); !slices.Equal(got, []string{"thank you"}) {
			t.Errorf("the business got %q", got)
		}
		if got := b.got(); !slices.Equal(got, []string{"welcome, new phone", "to both"}) {
			t.Errorf("the new device got %q", got)
		}
		both := w.carrier.Texts()
		if len(alone[len(alone)-1].Envelope.Keys) != 1 || len(both[len(both)-1].Envelope.Keys) != 2 {
			t.Error("they were not sent to the device that was named, and then to both")
		}
	})
}

func TestIdentityKey_UnknownFailsTheMessage(t *testing.T) {
	for _, trust := range []omemo.Trust{omemo.Blind, omemo.FirstUse} {
		t.Run(string(trust), func(t *testing.T) {
			under(t, trust, func(t *testing.T, w *world, a *person, _ string) {
				sent := len(w.carrier.Texts())
				id := w.saysTo(a, "DF2lS5v2W6xDF2lS5v2W6w==", "for somebody else")
				events := w.take()
				if len(events) != 1 || events[0].ID != id || events[0].Status != "failed" || events[0].Code != 137000 {
					t.Errorf("the business got %+v", events)
				}
				if len(w.carrier.Texts()) != sent {
					t.Error("it was sent")
				}
			})
		})
	}
}

func TestIdentityKey_NamedIsNotReplacedByAnotherBundles(t *testing.T) {
	other := t.TempDir()
	under(t, omemo.Blind, func(t *testing.T, w *world, a *person, _ string) {
		a.says(w.number, "my key is in this webhook")
		hash := w.take()[0].Identity
		b := w.customer(other, "+491702222222")
		device := w.hub.Devices(a.number)[0]
		w.hub.Change(func() { // the carrier hands out another's bundle, for a device without session
			w.hub.Bundles[a.number][device] = w.hub.Bundles[b.number][w.hub.Lists[b.number][0]]
		})
		check(t, w.store.Update(t.Context(), func(tx *store.Tx) error {
			c, err := tx.Customer(a.number)
			check(t, err)
			return tx.DeleteRecord(c.ID, device)
		}))
		before, sent := w.trusted(a.number, device), len(w.carrier.Texts())
		id := w.saysTo(a, hash, "for the key that I know")
		events := w.take()
		if len(events) != 1 || events[0].ID != id || events[0].Code != 137000 || len(w.carrier.Texts()) != sent {
			t.Errorf("the business got %+v", events)
		}
		if !bytes.Equal(before, w.trusted(a.number, device)) {
			t.Error("the other key is on record")
		}
	})
}

// impersonate has what b sends arrive as from a's device.
func (w *world) impersonate(a, b *person) {
	device := w.hub.Devices(a.number)[0]
	theirs := w.hub.Devices(b.number)[len(w.hub.Devices(b.number))-1]
	w.tamper(func(m carrier.Message) carrier.Message {
		if m.From == b.number && m.Envelope.Sender == theirs {
			m.Envelope.Sender = device
		}
		return m
	})
}

func TestDevice_WithAnotherKeyIsReported(t *testing.T) {
	for trust, accepted := range map[omemo.Trust]bool{omemo.Blind: true, omemo.FirstUse: false} {
		t.Run(string(trust), func(t *testing.T) {
			under(t, trust, func(t *testing.T, w *world, a *person, dir string) {
				w.hub.Change(func() { w.hub.Muted = true })
				w.says(a.number, "before")
				w.take()
				sent := len(w.carrier.Texts())
				a.stop()
				b := w.customer(dir, alice)
				w.impersonate(a, b)
				b.says(w.number, "same device, other key")
				elapse(resendTime)
				events := w.take()
				if got := system(events); len(got) != 1 || got[0].Accepted != accepted {
					t.Errorf("the business got %+v", events)
				}
				if got := len(texts(events)) == 1; got != accepted {
					t.Errorf("the business got %+v", events)
				}
				if got := w.Count(message.EventIdentity) == 1; got != accepted {
					t.Errorf("%d changes counted", w.Count(message.EventIdentity))
				}
				if got := w.carrier.Texts(); len(got) != sent {
					t.Error("what was written to one key was sent again to another")
				}
			})
		})
	}
}

func TestRefusalsAreCountedByClass(t *testing.T) {
	under(t, omemo.FirstUse, func(t *testing.T, w *world, a *person, dir string) {
		genuine := a.carrier.Last()
		check(t, w.brings(genuine))
		spoil := func(change func(*carrier.Message)) {
			m := genuine
			m.Envelope.Keys = slices.Clone(m.Envelope.Keys)
			m.Envelope.Keys[0].Data = slices.Clone(m.Envelope.Keys[0].Data)
			change(&m)
			check(t, w.brings(m))
		}
		spoil(func(m *carrier.Message) { m.Envelope.Keys[0].Data = []byte{0x33} })
		spoil(func(m *carrier.Message) { m.Envelope.Keys[0].Device = 1 })
		spoil(func(m *carrier.Message) { m.Envelope.Sender, m.Envelope.Keys[0].PreKey = 5, false })
		b := w.customer(dir, alice)
		b.says(w.number, "refused")
		synctest.Wait()
		for class, want := range map[string]int64{
			"replay": 1, "malformed": 2, "not_for_us": 1, "untrusted_identity": 1, "bundle": 0,
		} {
			if got := w.Refused(class); got != want {
				t.Errorf("%s: %d counted, want %d", class, got, want)
			}
		}
	})
}
