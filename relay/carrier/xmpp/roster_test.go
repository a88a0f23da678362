package xmpp

import (
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/xmpptest"
)

func TestServersTellChangesOfTheContactListAsOurOwnAccount(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		counts := &counter{}
		conf := config(t, s, xmpptest.Business)
		conf.Metrics = counts
		b := online(t, conf)
		b.wait(t, "what a stream begins with", func() bool { return len(b.own) > 0 })
		// Servers tell those who asked for the list once.
		if _, err := b.questions.ask(t.Context(), "", "get", stanza.New(nsRoster, "query")); err != nil {
			t.Fatal(err)
		}
		before := b.stanzas()
		_, err := b.questions.set(t.Context(), stanza.New(nsRoster, "query").With(stanza.New(nsRoster, "item", "jid", b.addr.Of(xmpptest.Number(t, xmpptest.Third)))))
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the answer and the push", func() bool { return b.stanzas() >= before+2 })
		if n := counts.counts()[stanza.DropRoster]; n != 0 {
			t.Errorf("%d were not believed", n)
		}
		if err := b.Forget(t.Context(), xmpptest.Number(t, xmpptest.Third)); err != nil {
			t.Error(err)
		}
		eventually(t, "the answer and the push", func() bool { return b.stanzas() >= before+4 })
		if n := counts.counts()[stanza.DropRoster]; n != 0 {
			t.Errorf("%d were not believed", n)
		}
	})
}

// stanzas is how many arrived in the stream.
func (c *Carrier) stanzas() uint32 { return c.stream.Counts().Handled }
