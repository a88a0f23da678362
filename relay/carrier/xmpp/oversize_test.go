package xmpp

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stream"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/xmpptest"
)

// monsters are contents of stanzas that servers relay and that no client needs.
func monsters() map[string]*stanza.Element {
	wide, deep, text := stanza.New("urn:x", "wide"), stanza.New("urn:x", "deep"), stanza.New(stanza.NSClient, "body")
	for range 4106 {
		wide.With(stanza.New("urn:x", "y"))
	}
	for inner, i := deep, 0; i < 40; i++ {
		next := stanza.New("urn:x", "deeper")
		inner.With(next)
		inner = next
	}
	attrs := stanza.New("urn:x", "x")
	for i := range 70 {
		attrs.Attrs = append(attrs.Attrs, stanza.New("", "", fmt.Sprint("a", i), "1").Attrs...)
	}
	text.WithText(strings.Repeat("'", 200<<10))
	return map[string]*stanza.Element{"4,106 children": wide, "40 levels": deep, "70 attributes": attrs, "200 KiB of '": text}
}

// tells sends a stanza as short as it can be: with no apostrophe escaped in its text.
func (n *node) tells(t *testing.T, e *stanza.Element) {
	t.Helper()
	check(t, n.stream.Post(bytes.ReplaceAll(e.Bytes(), []byte("&#39;"), []byte("'"))))
}

func TestOversize_HoldsUpNobodyElse(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		counts := &counter{}
		conf := config(t, s, xmpptest.Business)
		conf.Metrics = counts
		b, c, other := online(t, conf), online(t, config(t, s, xmpptest.Customer)), online(t, config(t, s, xmpptest.Third))
		sent := 0
		for name, content := range monsters() {
			c.tells(t, stanza.New(stanza.NSClient, "message", "to", c.addr.Of(b.number), "type", "chat", "id", "monster").With(content))
			check(t, c.SendReceipts(t.Context(), carrier.OutgoingReceipt{To: b.number, ID: "behind", Kind: carrier.Read})) // the server has both
			sent++
			other.send(t, b, sent)
			b.wait(t, "another's message behind "+name, func() bool {
				return slices.ContainsFunc(b.messages, func(m carrier.Message) bool { return m.ID == fmt.Sprint("m", sent) })
			})
			kind := carrier.TooLarge
			if content.Is(stanza.NSClient, "body") {
				kind = carrier.InClear // servers write it six times as long, which is still read
			}
			b.wait(t, "that it was not read", func() bool {
				return len(b.unread) == sent && b.unread[sent-1].Kind == kind && b.unread[sent-1].ID == "monster" && b.unread[sent-1].Resource != ""
			})
			c.tells(t, stanza.New(stanza.NSClient, "iq", "to", c.addr.Of(b.number)+"/"+DefaultResource, "type", "get", "id", "i"+fmt.Sprint(sent)).With(content))
			c.tells(t, stanza.New(stanza.NSClient, "presence", "to", c.addr.Of(b.number)).With(content))
		}
		// A list of devices stays published, and comes with each new stream.
		list := stanza.DeviceList(carrier.Legacy, []carrier.DeviceID{5})
		for range 4096 {
			list.With(stanza.New("urn:x", "x"))
		}
		check(t, c.publish(t.Context(), stanza.NodeDevices, stanza.ItemCurrent, list))
		if _, err := b.Devices(t.Context(), c.number, carrier.Legacy); !errors.Is(err, carrier.ErrNotFound) {
			t.Errorf("asking for such a list: %v", err)
		}
		b.stop()
		b.start(t)
		b.wait(t, "the next stream", func() bool { return len(b.connected) == 2 })
		other.send(t, b, 99)
		b.wait(t, "another's message in the next stream", func() bool {
			return slices.ContainsFunc(b.messages, func(m carrier.Message) bool { return m.ID == "m99" })
		})
		defer b.lock()()
		if len(b.connected) != 2 {
			t.Errorf("%d links, want those of two streams", len(b.connected))
		}
		drops := counts.counts()
		for _, reason := range []stanza.Drop{stanza.DropTooDeep, stanza.DropManyElements, stanza.DropManyAttributes} {
			if drops[reason] == 0 {
				t.Errorf("nothing was counted as %s", reason)
			}
		}
	})
}

func TestOversize_IsCountedToldAndAcknowledged(t *testing.T) {
	place := &shelf{id: "7"}
	s := script(t, func(c *Config) { c.Archive = place; c.MaxStanza = 64 << 10 })
	id, query := s.endsAt(t, "20")
	own, junk := xmpptest.Business+"@relay.test", strings.Repeat("<x><![CDATA[</message>]>]]></x>", stanza.MaxElements)
	inner := strings.Replace(xmpptest.Stanzas()[0], "<message", "<message xmlns='jabber:client'", 1)
	for _, text := range []string{
		"<message from='" + xmpptest.PeerJID + "' id='big' type='chat'>" + junk + "<stanza-id xmlns='" + stanza.NSStanzaID + "' by='" + own + "' id='m'/></message>",
		"<message from='" + xmpptest.PeerJID + "' id='bounce' type='error'>" + junk + "</message>",
		"<message from='" + xmpptest.PeerJID + "' id='room' type='groupchat'>" + junk + "</message>",
		"<message from='" + xmpptest.PeerJID + "' id='event' type='headline'>" + junk + "</message>",
		"<message from='" + xmpptest.PeerJID + "' id='tag' x='" + strings.Repeat("y>", 50_000) + "'/>",
		"<presence from='" + xmpptest.PeerJID + "'>" + strings.Repeat("<a>", 50_000) + strings.Repeat("</a>", 50_000) + "</presence>",
		"<iq type='get' id='ask' from='" + xmpptest.PeerJID + "'>" + junk + "</iq>",
		result(own, query, "8", inner),
		result(own, query, "9", strings.Replace(inner, "<store", junk+"<store", 1)),
		result(own, query, "10", inner),
		"<iq type='result' id='" + id + "' from='" + own + "'><fin xmlns='" + stanza.NSArchive + "' complete='true'>" + lastIs("9") + "</fin></iq>",
		"<unknown xmlns='urn:x'>" + strings.Repeat("z", 100_000) + "</unknown>",
		xmpptest.Stanzas()[0],
		"<r xmlns='urn:xmpp:sm:3'/>",
	} {
		s.says(t, text)
	}
	s.wait(t, "the messages that are not", func() bool { return len(s.messages) == 3 })
	s.wrote(t, "<a xmlns='urn:xmpp:sm:3' h='13'/>")
	s.wrote(t, "<iq type='error' to='"+xmpptest.PeerJID+"' id='ask'><error type='modify'><policy-violation")
	eventually(t, "the position", func() bool { return place.position() == "10" })
	if got := s.counts.counts(); got[stanza.DropTooLarge] < 8 {
		t.Errorf("counted %v", got)
	}
	defer s.lock()()
	sent := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	if got := s.unread; len(got) != 2 || got[0].Kind != carrier.TooLarge || got[0].ID != "big" || got[0].Mark != "m" || got[0].Resource != "phone" ||
		got[1].Kind != carrier.TooLarge || got[1].ID != "1" || got[1].Mark != "9" || !got[1].Time.Equal(sent) {
		t.Errorf("what was not read: %+v", got)
	}
}

func TestAnswer_TooLongIsAnErrorToTheAskerOnly(t *testing.T) {
	s := script(t, nil)
	got := make(chan error, 1)
	go func() {
		_, err := s.Bundle(t.Context(), xmpptest.Number(t, xmpptest.Customer), 5, carrier.Legacy)
		got <- err
	}()
	id := s.after(t, "to='"+xmpptest.Customer+"@relay.test' id='")
	s.says(t, "<iq type='result' id='"+id+"' from='"+xmpptest.Customer+"@relay.test'><pubsub xmlns='"+stanza.NSPubSub+"'>"+strings.Repeat("<x/>", stanza.MaxElements)+"</pubsub></iq>")
	if err := <-got; !errors.Is(err, errLongAnswer) || !errors.Is(err, carrier.ErrNotFound) {
		t.Errorf("asking: %v", err)
	}
	s.says(t, xmpptest.Stanzas()[0])
	s.wait(t, "the next message", func() bool { return len(s.messages) == 1 })
}

// A stanza without end ends its link, but counts by then, and is passed over in the archive.
func TestOversize_EndlessStanzaEndsOneLinkOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		place := &shelf{id: "7"}
		s := script(t, func(c *Config) { c.Archive = place; c.MaxStanza = 4 << 10; c.maxWire = 64 << 10 })
		query := s.after(t, "queryid='")
		s.says(t, xmpptest.Stanzas()[0])
		endless := result(xmpptest.Business+"@relay.test", query, "8", strings.Repeat("x", 100<<10))
		s.says(t, endless)
		if err := <-s.ended; !errors.Is(err, stream.ErrEndless) || stream.ReasonOf(err).Reason != ReasonProtocolError {
			t.Errorf("the link ended with %v", err)
		}
		s.wrote(t, "<a xmlns='urn:xmpp:sm:3' h='2'/>")
		if s.stream.Counts().Handled != 2 || place.position() != "8" || len(s.messages) != 1 {
			t.Errorf("the next link asks for what follows %d stanzas and the archive's %s", s.stream.Counts().Handled, place.position())
		}
	})
}

// unreadOf reads what a server says of one message, which may be too large.
func unreadOf(t *testing.T, text string) (carrier.Unread, bool) {
	t.Helper()
	s := script(t, func(c *Config) { c.MaxStanza = 4 << 10 })
	s.says(t, text+"<r xmlns='"+stanza.NSSM+"'/>")
	s.wrote(t, "<a xmlns='"+stanza.NSSM+"' h='1'/>")
	defer s.lock()()
	if len(s.unread) == 0 {
		return carrier.Unread{}, false
	}
	return s.unread[0], true
}

func TestOversize_EndIsTheServersWord(t *testing.T) {
	id := "<stanza-id xmlns='" + stanza.NSStanzaID + "' by='" + xmpptest.Business + "@relay.test' id='7'/>"
	delay := "<delay xmlns='" + stanza.NSDelay + "' from='relay.test' stamp='2026-01-02T03:04:05Z'/>"
	large := "<body>" + strings.Repeat("x", 8<<10) + "</body>"
	for name, test := range map[string]struct {
		content string
		mark    string
		dated   bool
	}{
		"nothing":                     {large, "", false},
		"id and date":                 {large + "<x xmlns='urn:x'><![CDATA[</x>]]></x>" + id + delay, "7", true},
		"a date before what is large": {delay + large, "", false},
		"a date that holds it":        {strings.Replace(delay, "/>", ">"+large+"</delay>", 1), "", false},
		"a date, and what is large":   {large + delay + large, "", false},
		"a date that is not the last": {large + delay + id, "7", false},
		"many that are small":         {large + strings.Repeat("<y xmlns='urn:x'/>", 1000) + id + delay, "7", true},
		"one that is not well-formed": {large + "<x xmlns='urn:x'></y>", "", false},
		"text between":                {large + "text" + id + " " + delay + "text", "7", true},
	} {
		t.Run(name, func(t *testing.T) {
			u, told := unreadOf(t, "<message from='"+xmpptest.PeerJID+"' id='1' type='chat'>"+test.content+"</message>")
			dated := u.Time.Year() == 2026 && u.Time.Month() == time.January
			if !told || u.Kind != carrier.TooLarge || u.Mark != test.mark || dated != test.dated {
				t.Errorf("told %v: %+v", told, u)
			}
		})
	}
}

// What waited for the relay comes by itself, and once more out of the archive.
func TestUnread_HasOneMarkHoweverItComes(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		b, c, place := startReading(t, s)
		before := place.position()
		b.leave(t, c)
		wide, body := monsters()["4,106 children"], stanza.New(stanza.NSClient, "body").WithText("in clear")
		for id, content := range map[string]*stanza.Element{"large": wide, "clear": body} {
			c.tells(t, stanza.New(stanza.NSClient, "message", "to", c.addr.Of(b.number), "type", "chat", "id", id).With(content, stanza.New(stanza.NSHints, "store")))
		}
		check(t, c.SendReceipts(t.Context(), carrier.OutgoingReceipt{To: b.number, ID: "behind", Kind: carrier.Read})) // the server has both
		check(t, place.SetPosition(t.Context(), before))
		b.start(t)
		b.wait(t, "the end of the archive", func() bool { return len(b.caughtUp) == 2 })
		c.send(t, b, 1)
		b.wait(t, "what comes behind it", func() bool { return len(b.messages) > 0 })
		defer b.lock()()
		marks := map[string][]string{}
		for _, u := range b.unread {
			marks[u.ID] = append(marks[u.ID], u.Mark)
		}
		for _, id := range []string{"large", "clear"} {
			if got := slices.Compact(marks[id]); len(got) != 1 || got[0] == "" {
				t.Errorf("%s came %d times, with the marks %q", id, len(marks[id]), marks[id])
			}
		}
		t.Logf("%d came", len(b.unread))
	})
}
