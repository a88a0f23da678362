package message_test

import (
	"slices"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// inOMEMO2 runs a test with a relay that speaks both formats.
func inOMEMO2(t *testing.T, test func(t *testing.T, w *world)) {
	inBubbleWith(t, (*world).speaksOMEMO2, test)
}

// speaksOMEMO2 has the relay speak both formats.
func (w *world) speaksOMEMO2() {
	w.account.Own = w.number
	w.account.Address = func(n phone.Number) string { return n.E164() + "@" + domain }
}

// customerIn is a customer whose client speaks those formats.
func (w *world) customerIn(dir, digits string, formats ...carrier.Format) *person {
	w.formats = formats
	return w.customer(dir, digits)
}

// formatsOf returns the formats in which a message was encrypted, and for how many devices.
func formatsOf(o carrier.Outgoing) map[carrier.Format]int {
	found := map[carrier.Format]int{o.Envelope.Format: len(o.Envelope.Keys)}
	if o.Other != nil {
		found[o.Other.Format] = len(o.Other.Keys)
	}
	return found
}

// wantFormats fails the test unless the last text was encrypted for one device, in that format only.
func (w *world) wantFormat(f carrier.Format) {
	w.t.Helper()
	sent := w.carrier.Texts()
	if got := formatsOf(sent[len(sent)-1]); len(got) != 1 || got[f] != 1 {
		w.t.Errorf("encrypted in %v, want one device in format %d", got, f)
	}
}

// identities counts what the business was told about identity keys.
func identities(events []event) (n int) {
	for _, e := range events {
		if e.Type == "system" {
			n++
		}
	}
	return n
}

func TestOMEMO2_ClientThatSpeaksNothingElse(t *testing.T) {
	dir := t.TempDir()
	inOMEMO2(t, func(t *testing.T, w *world) {
		a := w.customerIn(dir, alice, carrier.OMEMO2)
		first := w.says(a.number, "the business begins <&>")
		if got := statuses(w.take(), first); !slices.Equal(got, []string{"sent", "delivered", "read"}) {
			t.Errorf("statuses %q", got)
		}
		w.wantFormat(carrier.OMEMO2)
		a.says(w.number, "an answer,\nof two lines")
		if got := texts(w.take()); !slices.Equal(got, []string{"an answer,\nof two lines"}) {
			t.Errorf("the business got %q", got)
		}
		w.says(a.number, "and again")
		w.take()
		if got := a.got(); !slices.Equal(got, []string{"the business begins <&>", "and again"}) {
			t.Errorf("the customer got %q", got)
		}
	})
}

func TestOMEMO2_CustomerBegins(t *testing.T) {
	dir := t.TempDir()
	inOMEMO2(t, func(t *testing.T, w *world) {
		a := w.customerIn(dir, alice, carrier.OMEMO2)
		a.says(w.number, "hello")
		if got := texts(w.take()); !slices.Equal(got, []string{"hello"}) {
			t.Fatalf("the business got %q", got)
		}
		w.says(a.number, "good day")
		w.take()
		if got := a.got(); !slices.Equal(got, []string{"good day"}) {
			t.Errorf("the customer got %q", got)
		}
	})
}

// A client that publishes both lists is one device: it is written to once, and the business learns once.
func TestOMEMO2_ClientOfBothFormatsIsOneDevice(t *testing.T) {
	dir := t.TempDir()
	inOMEMO2(t, func(t *testing.T, w *world) {
		a := w.customerIn(dir, alice, carrier.Legacy, carrier.OMEMO2)
		w.says(a.number, "once")
		told := w.take()
		w.wantFormat(carrier.OMEMO2)
		a.says(w.number, "me too")
		told = append(told, w.take()...)
		if got := a.got(); !slices.Equal(got, []string{"once"}) {
			t.Errorf("the customer got %q", got)
		}
		if got := texts(told); !slices.Equal(got, []string{"me too"}) || identities(told) != 0 {
			t.Errorf("the business got %+v", told)
		}
	})
}

func TestOMEMO2_DevicesOfEitherFormatGetOneMessage(t *testing.T) {
	dir := t.TempDir()
	inOMEMO2(t, func(t *testing.T, w *world) {
		a := w.customerIn(dir+"/a", alice, carrier.Legacy)
		b := w.customerIn(dir+"/b", alice, carrier.OMEMO2)
		w.settle()
		// The hub has one inbox per number: what arrives is handed to both devices.
		a.stop()
		b.stop()
		w.says(a.number, "for both")
		w.take()
		sent := w.carrier.Texts()
		if got := formatsOf(sent[len(sent)-1]); len(sent) != 1 || got[carrier.Legacy] != 1 || got[carrier.OMEMO2] != 1 {
			t.Errorf("%d messages, the last in %v", len(sent), got)
		}
	})
}

func TestOMEMO2_ConversationInLegacyGoesOnInIt(t *testing.T) {
	dir := t.TempDir()
	inOMEMO2(t, func(t *testing.T, w *world) {
		a := w.customerIn(dir, alice, carrier.Legacy)
		a.says(w.number, "in legacy")
		w.says(a.number, "so are we")
		w.take()
		w.wantFormat(carrier.Legacy)
		a.stop()
		a = w.customerIn(dir, alice, carrier.Legacy, carrier.OMEMO2) // the client was updated
		elapse(2 * time.Hour)                                        // until the list is fetched again
		w.says(a.number, "in the new format")
		told := w.take()
		w.wantFormat(carrier.OMEMO2)
		if got := a.got(); !slices.Equal(got, []string{"in the new format"}) || identities(told) != 0 {
			t.Errorf("the customer got %q, the business %+v", got, told)
		}
	})
}

// A carrier that hides the list of OMEMO2 makes the relay write in Legacy again, to the same device and key.
func TestOMEMO2_HiddenListLeadsBackToLegacy(t *testing.T) {
	dir := t.TempDir()
	inOMEMO2(t, func(t *testing.T, w *world) {
		a := w.customerIn(dir, alice, carrier.Legacy, carrier.OMEMO2)
		w.says(a.number, "in both")
		w.take()
		w.wantFormat(carrier.OMEMO2)
		check(t, w.brings(carrier.DeviceList{Peer: a.number, Format: carrier.OMEMO2}))
		w.says(a.number, "in the old one")
		told := w.take()
		w.wantFormat(carrier.Legacy)
		if got := a.got(); !slices.Equal(got, []string{"in both", "in the old one"}) || identities(told) != 0 {
			t.Errorf("the customer got %q, the business %+v", got, told)
		}
	})
}

func TestOMEMO2_ListWithoutBundleLeadsToLegacy(t *testing.T) {
	dir := t.TempDir()
	inOMEMO2(t, func(t *testing.T, w *world) {
		a := w.customerIn(dir, alice, carrier.Legacy, carrier.OMEMO2)
		w.settle()
		w.hub.Change(func() { delete(w.hub.Bundles2, a.number) })
		w.says(a.number, "hello")
		w.take()
		w.wantFormat(carrier.Legacy)
		if got := a.got(); !slices.Equal(got, []string{"hello"}) {
			t.Errorf("the customer got %q", got)
		}
	})
}

func TestOMEMO2_KeyThatIsUsedInAFormatLeavesBothBundles(t *testing.T) {
	dir := t.TempDir()
	inOMEMO2(t, func(t *testing.T, w *world) {
		published := func(f carrier.Format) (ids []uint32) {
			w.hub.Change(func() {
				all := w.hub.Bundles
				if f == carrier.OMEMO2 {
					all = w.hub.Bundles2
				}
				for _, k := range all[w.number][w.account.Device].PreKeys {
					ids = append(ids, k.ID)
				}
			})
			return ids
		}
		w.settle()
		before := published(carrier.Legacy)
		if !slices.Equal(before, published(carrier.OMEMO2)) {
			t.Fatal("the bundles hold other keys")
		}
		a := w.customerIn(dir, alice, carrier.OMEMO2)
		a.says(w.number, "hello")
		w.take()
		after := published(carrier.Legacy)
		if !slices.Equal(after, published(carrier.OMEMO2)) || len(after) != len(before) || slices.Equal(after, before) {
			t.Errorf("before %v, after %v and %v", before, after, published(carrier.OMEMO2))
		}
	})
}

// Clients such as Kaidan ask for receipts, and send them, inside the encryption.
func TestOMEMO2_ReceiptsAreReadInsideTheEncryption(t *testing.T) {
	dir := t.TempDir()
	inOMEMO2(t, func(t *testing.T, w *world) {
		a := w.customerIn(dir, alice, carrier.OMEMO2)
		w.tamper(func(m carrier.Message) carrier.Message {
			m.WantsReceipt, m.WantsRead = false, false // outside
			return m
		})
		id := a.says(w.number, "hello")
		w.take()
		if got := a.all(customer.Delivered); len(got) != 1 || got[0].ID != id {
			t.Errorf("the customer's client got the receipts %+v", got)
		}
		sent := w.says(a.number, "good day")
		if got := statuses(w.take(), sent); !slices.Equal(got, []string{"sent", "delivered", "read"}) {
			t.Errorf("statuses %q", got)
		}
	})
}

func TestOMEMO2_DeviceThatLostItsSessionsIsOfferedAnother(t *testing.T) {
	dir := t.TempDir()
	inOMEMO2(t, func(t *testing.T, w *world) {
		a := w.customerIn(dir, alice, carrier.OMEMO2)
		a.says(w.number, "hello")
		w.says(a.number, "good day")
		w.take()
		w.tamper(func(m carrier.Message) carrier.Message {
			if m.From.Digits() == a.number.Digits() && len(m.Envelope.Keys) > 0 && m.Envelope.Payload != nil {
				m.Envelope.Keys = slices.Clone(m.Envelope.Keys)
				m.Envelope.Keys[0].Data = append(slices.Clone(m.Envelope.Keys[0].Data[:20]), make([]byte, len(m.Envelope.Keys[0].Data)-20)...)
			}
			return m
		})
		a.says(w.number, "spoilt")
		w.take()
		w.tamper(nil)
		a.says(w.number, "readable again")
		if got := texts(w.take()); !slices.Equal(got, []string{"readable again"}) {
			t.Errorf("the business got %q", got)
		}
	})
}
