package xmpp

import (
	"context"
	"slices"
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/phone"
)

func TestABlockedNumbersMessagesAreHeldBack(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		b, c, other := online(t, config(t, s, business)), online(t, config(t, s, customer)), online(t, config(t, s, third))
		ctx := t.Context()
		check := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		blocked(t, b)
		check(b.Block(ctx, []phone.Number{c.number}))
		blocked(t, b, c.number)
		_ = c.Send(ctx, carrier.Outgoing{ID: "held", To: b.number, Envelope: envelope(1)})
		other.send(t, b, 2)
		b.wait(t, "the other's message", func() bool { return len(b.messages) > 0 })
		check(b.Unblock(ctx, []phone.Number{c.number}))
		check(b.Unblock(ctx, nil)) // nobody, and not everybody
		blocked(t, b)
		c.send(t, b, 3)
		b.wait(t, "the message after", func() bool { return len(b.messages) == 2 })
		if ids := []string{b.messages[0].ID, b.messages[1].ID}; !slices.Equal(ids, []string{"m2", "m3"}) {
			t.Errorf("arrived: %v", ids)
		}
	})
}

// blocked looks who is on the server's list.
func blocked(t *testing.T, b *node, want ...phone.Number) {
	t.Helper()
	got, err := b.Blocked(context.Background())
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%d are blocked, want %d: %v", len(got), len(want), err)
	}
}
