package xmpp

import (
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/xmpptest"
)

func TestBounce_BeforeTheAcknowledgementMayBeSentAgain(t *testing.T) {
	s := script(t, nil)
	s.wrote(t, "<presence>")
	o := carrier.Outgoing{ID: "returned", To: xmpptest.Number(t, xmpptest.Customer), Envelope: xmpptest.Envelope(1)}
	sent := make(chan error, 2)
	send := func() { sent <- s.Send(t.Context(), o) }
	times := func(n int) {
		eventually(t, "the message on its way", func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return strings.Count(s.seen.String(), "id='returned'") == n
		})
	}
	go send()
	times(1)
	s.says(t, "<message type='error' id='returned' from='"+xmpptest.PeerJID+"'><error type='wait'><resource-constraint xmlns='"+stanza.NSStanzas+"'/></error></message>")
	s.wait(t, "the bounce", func() bool { return len(s.bounced) == 1 })
	go send()
	times(2)
	s.acknowledges(t)
	for range 2 {
		check(t, <-sent)
	}
}
