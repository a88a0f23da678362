package xmpp

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/test/services/prosody"
)

func TestMessagesAndReceiptsTravelBothWays(t *testing.T) {
	s := prosody.StartT(t, prosody.Options{Registration: true})
	b, c := online(t, config(t, s, business)), online(t, config(t, s, customer))

	c.send(t, b, 1)
	b.wait(t, "message", func() bool { return len(b.messages) == 1 })
	m := b.messages[0]
	if m.ID != "m1" || m.From != c.number || !m.WantsReceipt || !m.WantsRead || m.Time.IsZero() {
		t.Errorf("message arrived as %+v", m)
	}
	if diff := cmp.Diff(envelope(1), m.Envelope); diff != "" {
		t.Errorf("envelope changed on its way:\n%s", diff)
	}
	b.send(t, c, 2)
	c.wait(t, "answer", func() bool { return len(c.messages) == 1 })

	for _, kind := range []carrier.ReceiptKind{carrier.Delivered, carrier.Read} {
		if err := b.SendReceipt(t.Context(), c.number, "m1", kind); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.SendTyping(t.Context(), c.number, true); err != nil {
		t.Fatal(err)
	}
	c.wait(t, "receipts", func() bool { return len(c.receipts) == 2 })
	want := []carrier.Receipt{{From: b.number, ID: "m1", Kind: carrier.Delivered}, {From: b.number, ID: "m1", Kind: carrier.Read}}
	if diff := cmp.Diff(want, c.receipts, cmp.AllowUnexported(want[0].From)); diff != "" {
		t.Error(diff)
	}
}
