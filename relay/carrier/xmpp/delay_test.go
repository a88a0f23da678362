package xmpp

import (
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/xmpptest"
)

// dated is a message whose sender says that the server has had it for ten days.
func dated(c, b *node, id, by string) *stanza.Element {
	m := stanza.Outgoing(c.addr, carrier.Outgoing{ID: id, To: b.number, Envelope: xmpptest.Envelope(1)})
	return m.With(stanza.New(stanza.NSDelay, "delay", "from", by, "stamp", time.Now().Add(-240*time.Hour).UTC().Format(time.RFC3339)))
}

func TestDelay_SendersCannotSetIt(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		host, _, _ := s.Where()
		b, c, place := startReading(t, s)
		isNow := func(n int, begun time.Time) {
			t.Helper()
			b.wait(t, "message", func() bool { return len(b.messages) >= n })
			defer b.lock()()
			for _, m := range b.messages {
				if m.Time.Before(begun.Add(-3 * time.Second)) {
					t.Errorf("message %s is dated %v before it was sent", m.ID, begun.Sub(m.Time))
				}
			}
		}
		eventually(t, "the stream to be up", func() bool {
			b.Carrier.mu.Lock()
			defer b.Carrier.mu.Unlock()
			return b.progress.live
		})
		begun := time.Now()
		for _, by := range []string{host, xmpptest.Business + "@" + host} {
			check(t, c.post(dated(c, b, "live "+by, by)))
		}
		isNow(2, begun)
		before := place.position()
		b.leave(t, c)
		for _, by := range []string{host, xmpptest.Business + "@" + host} {
			check(t, c.post(dated(c, b, "waits "+by, by)))
		}
		c.send(t, b, 3)
		sent := time.Now()
		eventually(t, "time to pass", func() bool { return time.Since(sent) > 3*time.Second })
		b.start(t)
		isNow(5, begun)
		unlock := b.lock()
		for _, m := range b.messages {
			// ejabberd writes its own delay before the body, where a sender's may stand as well.
			if _, isEjabberd := s.(domain); m.ID == "m3" && !isEjabberd && m.Time.After(sent.Add(2*time.Second)) {
				t.Error("a message that waited has the time of its arrival")
			}
		}
		b.messages, b.typing = nil, nil
		unlock()
		b.leave(t, c)
		check(t, place.SetPosition(t.Context(), before))
		b.start(t)
		isNow(3, begun) // out of the archive
	})
}
