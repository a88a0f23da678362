package xmpp

import (
	"testing"
)

func TestServersTellChangesOfTheContactListAsOurOwnAccount(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		counts := &counter{}
		conf := config(t, s, business)
		conf.Metrics = counts
		b := online(t, conf)
		b.wait(t, "what a session begins with", func() bool { return len(b.own) > 0 })
		// Servers tell those who asked for the list once.
		if _, err := b.ask(t.Context(), "", "get", elem(nsRoster, "query")); err != nil {
			t.Fatal(err)
		}
		before := b.stanzas()
		_, err := b.instruct(t.Context(), elem(nsRoster, "query").with(elem(nsRoster, "item", "jid", b.addr.of(number(t, third)))))
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the answer and the push", func() bool { return b.stanzas() >= before+2 })
		if n := counts.counts()[DropRoster]; n != 0 {
			t.Errorf("%d were not believed", n)
		}
		if err := b.Forget(t.Context(), number(t, third)); err != nil {
			t.Error(err)
		}
		eventually(t, "the answer and the push", func() bool { return b.stanzas() >= before+4 })
		if n := counts.counts()[DropRoster]; n != 0 {
			t.Errorf("%d were not believed", n)
		}
	})
}

// stanzas is how many arrived in the session.
func (c *Carrier) stanzas() uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session.handled
}
