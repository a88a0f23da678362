package dataplane_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
)

// waitIdentity waits until the business is told of an identity key.
func (b *business) waitIdentity(accepted bool) webhooktest.Update {
	b.t.Helper()
	return b.WaitUpdate("an identity key", func(u webhooktest.Update) bool {
		return u.System == "customer_identity_changed" && u.Accepted == accepted
	})
}

func TestFirstUseTrust_NewDeviceGetsNothingUntilItsKeyIsNamed(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.Config.Trust = "firstUse"
	b.StartReady()
	p := newPerson(t)
	p.Says(b, "from my phone")
	b.WaitText("from my phone")
	tablet := p.Another("tablet")
	tablet.Says(b, "from my tablet")
	told := b.waitIdentity(false)
	b.WaitStatus(b.Say(p.Number.E164(), "for the phone"), "read")
	if p.Sees("for the phone") != 1 || tablet.Has(func(e customer.Event) bool { return e.Kind == customer.Received }) {
		t.Error("the new device was written to")
	}
	wrong := b.SayWith(p.Number.E164(), "for nobody", map[string]any{"recipient_identity_key_hash": "DF2lS5v2W6xDF2lS5v2W6w=="})
	if u := b.WaitStatus(wrong, "failed"); u.Errors != 1 || u.Code != 137000 {
		t.Errorf("%d errors, the first is %d, want 137000", u.Errors, u.Code)
	}
	b.SayWith(p.Number.E164(), "for the tablet", map[string]any{"recipient_identity_key_hash": told.Identity})
	tablet.Sees("for the tablet")
	b.Say(p.Number.E164(), "for both")
	tablet.Sees("for both")
	p.Sees("for both")
	tablet.Says(b, "thank you, from my tablet")
	b.WaitText("thank you, from my tablet")
	_, metrics := b.Get("/metrics")
	if !bytes.Contains(metrics, []byte(`relaykeep_signal_errors_total{class="untrusted_identity"} `)) ||
		bytes.Contains(metrics, []byte(`relaykeep_signal_errors_total{class="untrusted_identity"} 0`)) {
		t.Error("the refusal was not counted")
	}
	b.NothingLeaked()
}

func TestBlindTrust_BusinessIsToldOfANewDevice(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.StartReady()
	p := newPerson(t)
	p.Says(b, "from my phone")
	b.WaitText("from my phone")
	tablet := p.Another("tablet")
	tablet.Says(b, "from my tablet")
	b.WaitText("from my tablet")
	b.waitIdentity(true)
	b.NothingLeaked()
}

func TestPerson_WithoutTheSessionGetsUnreadMessagesAgain(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.StartReady()
	p := newPerson(t)
	p.Stop()
	backup := os.DirFS(p.Dir)
	saved := t.TempDir()
	check(t, os.CopyFS(saved, backup))
	p.Start()
	p.Says(b, "hello")
	b.WaitText("hello")
	b.WaitStatus(b.Say(p.Number.E164(), "hello yourself"), "read")
	p.Stop()
	check(t, os.RemoveAll(p.Dir)) // the phone is set back to before it knew the business
	check(t, os.CopyFS(p.Dir, os.DirFS(saved)))
	unreadable := func(e customer.Event) bool { return e.Kind == customer.Unreadable }
	before := p.Count(unreadable)
	id := b.Say(p.Number.E164(), "sent while the phone was away")
	b.WaitStatus(id, "sent")
	p.Start()
	if n := p.Sees("sent while the phone was away"); n != 1 {
		t.Errorf("the customer saw it %d times", n)
	}
	b.WaitStatus(id, "read")
	if p.Count(unreadable) == before {
		t.Error("it could be read at once: nothing was proven")
	}
	b.NothingLeaked()
}
