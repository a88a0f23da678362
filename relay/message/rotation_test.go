package message_test

import (
	"slices"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/signal"
)

// rotate gives the stopped relay another identity; the one before is honoured for a
// while.
func (w *world) rotate(overlap time.Duration) {
	w.t.Helper()
	pair, err := signal.GenerateIdentityKeyPair()
	check(w.t, err)
	w.former = &message.FormerIdentity{Account: w.account, Until: time.Now().Add(overlap)}
	w.account = &omemo.Account{Local: signal.Local{Identity: pair, RegistrationID: 8}, Device: w.account.Device + 1}
	w.turned = true
}

func TestRotatedIdentityLosesNoMessageAndIsSeen(t *testing.T) {
	dirs := []string{t.TempDir(), t.TempDir()}
	inBubble(t, func(t *testing.T, w *world) {
		w.hub.Change(func() { w.hub.Pushes = true })
		a := w.customer(dirs[0], alice)
		a.says(w.number, "before")
		w.says(a.number, "answer before")
		w.take()
		w.stop()
		a.says(w.number, "to the former identity")    // in the session that there is
		b := w.customer(dirs[1], "+491701111112")     // who begins one
		b.says(w.number, "first words to the former") // with the bundle of the former
		w.rotate(time.Hour)
		w.start()
		got := texts(w.take())
		slices.Sort(got)
		if !slices.Equal(got, []string{"first words to the former", "to the former identity"}) {
			t.Fatalf("the business got %q of what was under way", got)
		}
		if list := w.hub.Devices(w.number); !slices.Equal(list, []carrier.DeviceID{w.account.Device}) {
			t.Errorf("the device list is %v, want the new device alone", list)
		}
		key := w.hub.Bundle(w.number, w.account.Device)
		if !slices.Equal(key.IdentityKey, w.account.Local.Identity.Public().Bytes()) {
			t.Error("the published identity key is not the new one")
		}
		id := w.says(a.number, "answer after")
		if got := statuses(w.take(), id); !slices.Equal(got, []string{"sent", "delivered", "read"}) {
			t.Errorf("statuses are %q", got)
		}
		events := a.all(customer.Received)
		if last := events[len(events)-1]; last.Text != "answer after" {
			t.Errorf("the customer got %q", last.Text)
		}
		a.says(w.number, "after")
		b.says(w.number, "more words")
		got = texts(w.take())
		slices.Sort(got)
		if !slices.Equal(got, []string{"after", "more words"}) {
			t.Errorf("after the rotation the business got %q", got)
		}
		if w.Count(message.EventForeignDevice) != 0 {
			t.Error("our own former device counts as foreign")
		}
	})
}

func TestCustomerSeesThatTheIdentityChanged(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		w.hub.Change(func() { w.hub.Pushes = true })
		a := w.customer(dir, alice)
		a.says(w.number, "before")
		w.take()
		w.stop()
		w.rotate(time.Hour)
		w.start()
		w.says(a.number, "after")
		w.take()
		if events := a.all(customer.Received); len(events) != 1 || !events[0].IdentityChanged {
			t.Errorf("the customer's events are %+v", events)
		}
	})
}

// A customer who says something without words to the former identity is shown the present one, as with a text.
func TestFormerIdentity_AReactionToItIsAnsweredByThePresentOne(t *testing.T) {
	dir := t.TempDir()
	inOMEMO2(t, func(t *testing.T, w *world) {
		s := begunIn(w, dir, carrier.OMEMO2)
		w.stop()
		s.reacts(s.questionStanza, "👍")
		w.rotate(time.Hour)
		w.start()
		if got := w.next(); got.Emoji != "👍" {
			t.Errorf("the business got %+v", got)
		}
		if w.Count(message.EventRepaired) != 1 {
			t.Error("the customer is not shown the present identity")
		}
	})
}

func TestFormerIdentity_IsNotReadAfterTheOverlap(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		w.hub.Change(func() { w.hub.Pushes = true })
		a := w.customer(dir, alice)
		a.says(w.number, "before")
		w.take()
		w.stop()
		a.says(w.number, "too late")
		w.rotate(-time.Second)
		w.start()
		if got := w.take(); len(got) != 1 || got[0].Type != "unsupported" {
			t.Errorf("the business got %+v, want to be told of one that cannot be read", got)
		}
		a.says(w.number, "again")
		if got := texts(w.take()); !slices.Equal(got, []string{"again"}) {
			t.Errorf("the business got %q", got)
		}
	})
}
