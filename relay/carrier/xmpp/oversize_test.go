package xmpp

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/relaykeep/relaykeep/relay/carrier"
)

// monsters are contents of stanzas that servers relay and that no client needs.
func monsters() map[string]*element {
	wide, deep, text := elem("urn:x", "wide"), elem("urn:x", "deep"), elem(nsClient, "body")
	for range 4106 {
		wide.with(elem("urn:x", "y"))
	}
	for inner, i := deep, 0; i < 40; i++ {
		next := elem("urn:x", "deeper")
		inner.with(next)
		inner = next
	}
	attrs := elem("urn:x", "x")
	for i := range 70 {
		attrs.attrs = append(attrs.attrs, elem("", "", fmt.Sprint("a", i), "1").attrs...)
	}
	text.withText(strings.Repeat("'", 200<<10))
	return map[string]*element{"4,106 children": wide, "40 levels": deep, "70 attributes": attrs, "200 KiB of '": text}
}

// tells sends a stanza as short as it can be: with no apostrophe escaped in its text.
func (n *node) tells(t *testing.T, e *element) {
	t.Helper()
	n.Carrier.mu.Lock()
	defer n.Carrier.mu.Unlock()
	check(t, n.push(&sent{bytes: bytes.ReplaceAll(e.bytes(), []byte("&#39;"), []byte("'"))}))
}

func TestAStanzaThatIsTooLargeHoldsUpNobodyElse(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		counts := &counter{}
		conf := config(t, s, business)
		conf.Metrics = counts
		b, c, other := online(t, conf), online(t, config(t, s, customer)), online(t, config(t, s, third))
		sent := 0
		for name, content := range monsters() {
			c.tells(t, elem(nsClient, "message", "to", c.addr.of(b.number), "type", "chat", "id", "monster").with(content))
			check(t, c.SendReceipt(t.Context(), b.number, "behind", carrier.Read)) // the server has both
			sent++
			other.send(t, b, sent)
			b.wait(t, "another's message behind "+name, func() bool {
				return slices.ContainsFunc(b.messages, func(m carrier.Message) bool { return m.ID == fmt.Sprint("m", sent) })
			})
			c.tells(t, elem(nsClient, "iq", "to", c.addr.of(b.number)+"/"+DefaultResource, "type", "get", "id", "i"+fmt.Sprint(sent)).with(content))
			c.tells(t, elem(nsClient, "presence", "to", c.addr.of(b.number)).with(content))
		}
		// A list of devices stays published, and comes with each new session.
		list := deviceList([]carrier.DeviceID{5})
		for range 4096 {
			list.with(elem("urn:x", "x"))
		}
		check(t, c.publish(t.Context(), nodeDevices, list))
		if _, err := b.Carrier.Devices(t.Context(), c.number); !errors.Is(err, carrier.ErrNotFound) {
			t.Errorf("asking for such a list: %v", err)
		}
		b.stop()
		b.start(t)
		b.wait(t, "the next session", func() bool { return len(b.connected) == 2 })
		other.send(t, b, 99)
		b.wait(t, "another's message in the next session", func() bool {
			return slices.ContainsFunc(b.messages, func(m carrier.Message) bool { return m.ID == "m99" })
		})
		defer b.lock()()
		if len(b.connected) != 2 {
			t.Errorf("%d links, want those of two sessions", len(b.connected))
		}
		drops := counts.counts()
		for _, reason := range []Drop{DropTooDeep, DropManyElements, DropManyAttributes} {
			if drops[reason] == 0 {
				t.Errorf("nothing was counted as %s", reason)
			}
		}
	})
}

func TestWhatIsTooLargeIsCountedAnsweredAndAcknowledged(t *testing.T) {
	place := &shelf{id: "7"}
	s := script(t, func(c *Config) { c.Archive = place; c.MaxStanza = 64 << 10 })
	query, id := s.after(t, "queryid='"), s.after(t, "<iq type='set' id='")
	own, junk := business+"@relay.test", strings.Repeat("<x><![CDATA[</message>]>]]></x>", maxElements)
	inner := strings.Replace(stanzas[0], "<message", "<message xmlns='jabber:client'", 1)
	for _, text := range []string{
		"<message from='" + peerJID + "' id='big' type='chat'>" + junk + "</message>",
		"<message from='" + peerJID + "' id='bounce' type='error'>" + junk + "</message>",
		"<message from='" + peerJID + "' id='tag' x='" + strings.Repeat("y>", 50_000) + "'/>",
		"<presence from='" + peerJID + "'>" + strings.Repeat("<a>", 50_000) + strings.Repeat("</a>", 50_000) + "</presence>",
		"<iq type='get' id='ask' from='" + peerJID + "'>" + junk + "</iq>",
		result(own, query, "8", inner),
		result(own, query, "9", strings.Replace(inner, "<store", junk+"<store", 1)),
		result(own, query, "10", inner),
		"<iq type='result' id='" + id + "' from='" + own + "'><fin xmlns='" + nsArchive + "' complete='true'/></iq>",
		"<unknown xmlns='urn:x'>" + strings.Repeat("z", 100_000) + "</unknown>",
		stanzas[0],
		"<r xmlns='urn:xmpp:sm:3'/>",
	} {
		s.says(t, text)
	}
	s.wait(t, "the messages that are not", func() bool { return len(s.messages) == 3 })
	s.wrote(t, "<a xmlns='urn:xmpp:sm:3' h='10'/>")
	s.wrote(t, "<message type='error' to='"+peerJID+"' id='big'><error type='modify'><policy-violation")
	s.wrote(t, "<iq type='error' to='"+peerJID+"' id='ask'><error type='modify'><policy-violation")
	if s.hasWritten("id='bounce'") {
		t.Error("an error was answered")
	}
	eventually(t, "the position", func() bool { return place.position() == "10" })
	if got := s.counts.counts(); got[DropTooLarge] < 6 {
		t.Errorf("counted %v", got)
	}
}

func TestALongAnswerIsAnErrorToTheAskerAlone(t *testing.T) {
	s := script(t, nil)
	got := make(chan error, 1)
	go func() {
		_, err := s.Bundle(t.Context(), number(t, customer), 5)
		got <- err
	}()
	id := s.after(t, "to='"+customer+"@relay.test' id='")
	s.says(t, "<iq type='result' id='"+id+"' from='"+customer+"@relay.test'><pubsub xmlns='"+nsPubSub+"'>"+strings.Repeat("<x/>", maxElements)+"</pubsub></iq>")
	if err := <-got; !errors.Is(err, errLongAnswer) || !errors.Is(err, carrier.ErrNotFound) {
		t.Errorf("asking: %v", err)
	}
	s.says(t, stanzas[0])
	s.wait(t, "the next message", func() bool { return len(s.messages) == 1 })
}

// A stanza without end ends its link, but counts by then, and is passed over in the archive.
func TestAStanzaWithoutEndEndsOneLinkOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		place := &shelf{id: "7"}
		s := script(t, func(c *Config) { c.Archive = place; c.MaxStanza = 4 << 10; c.maxWire = 64 << 10 })
		query := s.after(t, "queryid='")
		s.says(t, stanzas[0])
		endless := result(business+"@relay.test", query, "8", strings.Repeat("x", 100<<10))
		s.says(t, endless)
		if err := <-s.ended; !errors.Is(err, errEndless) || reasonOf(err).reason != ReasonProtocolError {
			t.Errorf("the link ended with %v", err)
		}
		s.wrote(t, "<a xmlns='urn:xmpp:sm:3' h='2'/>")
		if s.session.handled != 2 || place.position() != "8" || len(s.messages) != 1 {
			t.Errorf("the next link asks for what follows %d stanzas and the archive's %s", s.session.handled, place.position())
		}
	})
}
