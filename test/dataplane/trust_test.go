package dataplane_test

import (
	"bytes"
	"os"
	"slices"
	"testing"

	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
)

// waitIdentity waits until the business is told of an identity key.
func (b *business) waitIdentity(accepted bool) (found webhooktest.Update) {
	b.t.Helper()
	eventually(b.t, "an identity key at the webhook", func() bool {
		i := slices.IndexFunc(b.updates(), func(u webhooktest.Update) bool {
			return u.System == "customer_identity_changed" && u.Accepted == accepted
		})
		if i >= 0 {
			found = b.updates()[i]
		}
		return i >= 0
	})
	return found
}

func TestFirstUseTrust_NewDeviceGetsNothingUntilItsKeyIsNamed(t *testing.T) {
	b := newBusiness(t)
	b.config.Trust = "firstUse"
	b.startReady()
	p := newPerson(t)
	p.says(b, "from my phone")
	b.waitText("from my phone")
	tablet := p.another("tablet")
	tablet.says(b, "from my tablet")
	told := b.waitIdentity(false)
	b.waitStatus(b.say(p.number.E164(), "for the phone"), "read")
	if p.sees("for the phone") != 1 || tablet.has(func(e customer.Event) bool { return e.Kind == customer.Received }) {
		t.Error("the new device was written to")
	}
	wrong := b.sayWith(p.number.E164(), "for nobody", map[string]string{"recipient_identity_key_hash": "DF2lS5v2W6xDF2lS5v2W6w=="})
	if u := b.waitStatus(wrong, "failed"); u.Errors != 1 || u.Code != 137000 {
		t.Errorf("%d errors, the first is %d, want 137000", u.Errors, u.Code)
	}
	b.sayWith(p.number.E164(), "for the tablet", map[string]string{"recipient_identity_key_hash": told.Identity})
	tablet.sees("for the tablet")
	b.say(p.number.E164(), "for both")
	tablet.sees("for both")
	p.sees("for both")
	tablet.says(b, "thank you, from my tablet")
	b.waitText("thank you, from my tablet")
	_, metrics := b.get("/metrics")
	if !bytes.Contains(metrics, []byte(`relaykeep_signal_errors_total{class="untrusted_identity"} `)) ||
		bytes.Contains(metrics, []byte(`relaykeep_signal_errors_total{class="untrusted_identity"} 0`)) {
		t.Error("the refusal was not counted")
	}
	b.nothingLeaked()
}

func TestBlindTrust_BusinessIsToldOfANewDevice(t *testing.T) {
	b := newBusiness(t)
	b.startReady()
	p := newPerson(t)
	p.says(b, "from my phone")
	b.waitText("from my phone")
	tablet := p.another("tablet")
	tablet.says(b, "from my tablet")
	b.waitText("from my tablet")
	b.waitIdentity(true)
	b.nothingLeaked()
}

func TestPerson_WithoutTheSessionGetsUnreadMessagesAgain(t *testing.T) {
	b := newBusiness(t)
	b.startReady()
	p := newPerson(t)
	p.stop()
	backup := os.DirFS(p.dir)
	saved := t.TempDir()
	check(t, os.CopyFS(saved, backup))
	p.start("phone")
	p.says(b, "hello")
	b.waitText("hello")
	b.waitStatus(b.say(p.number.E164(), "hello yourself"), "read")
	p.stop()
	check(t, os.RemoveAll(p.dir)) // the phone is set back to before it knew the business
	check(t, os.CopyFS(p.dir, os.DirFS(saved)))
	id := b.say(p.number.E164(), "sent while the phone was away")
	b.waitStatus(id, "sent")
	p.start("phone")
	if n := p.sees("sent while the phone was away"); n != 1 {
		t.Errorf("the customer saw it %d times", n)
	}
	b.waitStatus(id, "read")
	if !p.has(func(e customer.Event) bool { return e.Kind == customer.Unreadable }) {
		t.Error("it could be read at once: nothing was proven")
	}
	b.nothingLeaked()
}
