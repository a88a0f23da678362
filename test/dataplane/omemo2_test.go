package dataplane_test

import (
	"slices"
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/test/customers"
)

// Clients such as Kaidan speak omemo:2 and nothing else, others both, with one device.
func TestOMEMO2_ConversationWithEachKindOfClient(t *testing.T) {
	b := newBusiness(t)
	b.StartReady()
	for name, formats := range map[string][]carrier.Format{
		"omemo:2 alone": {carrier.OMEMO2}, "both": {carrier.Legacy, carrier.OMEMO2}, "legacy": {carrier.Legacy},
	} {
		t.Run(name, func(t *testing.T) {
			p := customers.StartIn(t, shared.prosody, shared.Number(), formats...)
			out := b.Say(p.Number.E164(), "the business begins, "+name)
			for _, status := range []string{"sent", "delivered", "read"} {
				b.WaitStatus(out, status)
			}
			in := p.Says(b, "an answer, "+name)
			b.WaitText("an answer, " + name)
			p.Learns(customer.Delivered, in)
			b.WaitStatus(b.Say(p.Number.E164(), "and again, "+name), "read")
			if want := []string{"the business begins, " + name, "and again, " + name}; !slices.Equal(p.Texts(), want) {
				t.Errorf("the customer got %q", p.Texts())
			}
		})
	}
	p := customers.StartIn(t, shared.prosody, shared.Number(), carrier.OMEMO2)
	p.Says(b, "a customer begins")
	b.WaitText("a customer begins")
	tablet := p.Another("tablet", carrier.Legacy)
	tablet.Says(b, "from an older client")
	b.WaitText("from an older client")
	b.WaitStatus(b.Say(p.Number.E164(), "for both"), "read")
	if n, m := p.Sees("for both"), tablet.Sees("for both"); n != 1 || m != 1 {
		t.Errorf("they saw it %d and %d times", n, m)
	}
	b.Stop()
	b.StartReady()
	p.Says(b, "after a restart")
	b.WaitText("after a restart")
	b.NothingLeaked()
}
