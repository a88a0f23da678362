package xmpp

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stream"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/xmpptest"
	"github.com/relaykeep/relaykeep/test/fuzz/mutation"
)

// shelf is an Archive in memory.
type shelf struct {
	mu sync.Mutex
	id string
}

func (s *shelf) Position(context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.id, nil
}

func (s *shelf) SetPosition(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.id = id
	return nil
}

func (s *shelf) position() string { id, _ := s.Position(context.Background()); return id }

// pageOf is how many messages these tests ask for at a time.
const pageOf = 100

// startReading brings a business that reads its archive online, and a customer, and waits
// until the business has its place in the archive.
func startReading(t *testing.T, s server) (b, c *node, place *shelf) {
	t.Helper()
	place = &shelf{}
	conf := config(t, s, xmpptest.Business)
	conf.Archive, conf.page = place, pageOf
	b, c = online(t, conf), online(t, config(t, s, xmpptest.Customer))
	b.wait(t, "own devices", func() bool { return len(b.own) > 0 })
	eventually(t, "position", func() bool { return place.position() != "" })
	b.catchesUp(t) // from here on a message moves the position
	return b, c, place
}

// catchesUp waits until what the archive brought was taken.
func (n *node) catchesUp(t *testing.T) {
	t.Helper()
	eventually(t, "end of the archive", func() bool {
		n.Carrier.mu.Lock()
		defer n.Carrier.mu.Unlock()
		return n.progress.caughtUp
	})
}

// leave stops when all that c sent counts as handled, so that the server keeps none of
// it: what was stored just now may not count yet, but does when what came behind it is.
func (n *node) leave(t *testing.T, c *node) {
	t.Helper()
	check(t, c.SendTyping(t.Context(), n.number, true))
	n.wait(t, "what nobody keeps", func() bool { return len(n.typing) == 1 })
	n.stop()
}

func TestArchive_HasWhatTheServerLost(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		b, c, place := startReading(t, s)
		begin := place.position()
		c.send(t, b, 1)
		b.wait(t, "first message", func() bool { return len(b.messages) == 1 })
		eventually(t, "position of the first message", func() bool { return place.position() != begin })
		before := place.position()
		const count = 3*pageOf/2 + 1
		for i := range count {
			c.send(t, b, i+2)
			b.send(t, c, i) // our own are there, too
		}
		b.wait(t, "messages", func() bool { return len(b.messages) == count+1 })
		b.leave(t, c)
		// As if the server had handed them to a process that died before it stored them.
		unlock := b.lock()
		b.messages = nil
		unlock()
		check(t, place.SetPosition(t.Context(), before))
		b.start(t)
		b.wait(t, "messages out of the archive", func() bool { return len(b.messages) >= count })
		// Not before all of them are taken is it told that nothing waits any more.
		b.wait(t, "that it has caught up", func() bool { return len(b.caughtUp) == 2 })
		defer b.lock()()
		if b.caughtUp[1] < count {
			t.Errorf("it has caught up with %d of %d messages", b.caughtUp[1], count)
		}
		for i, m := range b.messages[:count] {
			if m.ID != fmt.Sprint("m", i+2) || m.From != c.number {
				t.Fatalf("message %d out of the archive is %s", i, m.ID)
			}
		}
		eventually(t, "position to move", func() bool { return place.position() != before })
	})
}

// A reaction, or that a message was taken back, may stand outside the encryption.
func TestArchive_HasReactionsThatTheServerLost(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		b, c, place := startReading(t, s)
		before := place.position()
		check(t, c.SendReaction(t.Context(), carrier.OutgoingReaction{ID: "r1", To: b.number, About: "m1", Emoji: "👍"}))
		check(t, c.SendRetraction(t.Context(), b.number, "m2"))
		b.wait(t, "a reaction and a retraction", func() bool { return len(b.reactions) == 1 && len(b.taken) == 1 })
		b.leave(t, c)
		// As if the server had handed them to a process that died before it stored them.
		unlock := b.lock()
		b.reactions, b.taken = nil, nil
		unlock()
		check(t, place.SetPosition(t.Context(), before))
		b.start(t)
		b.wait(t, "both out of the archive", func() bool { return len(b.reactions) > 0 && len(b.taken) > 0 })
		defer b.lock()()
		if r := b.reactions[0]; r.From != c.number || r.About != "m1" || b.taken[0].About != "m2" {
			t.Errorf("the archive brings %+v and %+v", r, b.taken[0])
		}
	})
}

// What the archive brought and was not stored when the link broke is not sent again as
// what was asked for: it has to be asked for once more, though the stream goes on.
func TestArchive_UnstoredMessagesAreReadAgainOnTheResumedLink(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		b, c, place := startReading(t, s)
		before := place.position()
		const count = pageOf / 2
		for i := range count {
			c.send(t, b, i)
		}
		b.wait(t, "messages", func() bool { return len(b.messages) == count })
		b.leave(t, c)
		// As if the server had handed them to a process that died before it stored them.
		unlock := b.lock()
		b.messages, b.connected = nil, nil
		b.fail = func(carrier.Message) error {
			b.fail = nil
			eventually(t, "end of the archive's page", func() bool {
				b.Carrier.mu.Lock()
				defer b.Carrier.mu.Unlock()
				return b.progress.query == ""
			})
			_, _ = b.Devices(t.Context(), c.number, carrier.Legacy) // what follows from the page's end is done
			return errors.New("disk full")
		}
		unlock()
		check(t, place.SetPosition(t.Context(), before))
		b.start(t)
		b.wait(t, "a resumed link", func() bool { return len(b.connected) == 2 && b.connected[1] })
		b.wait(t, "messages out of the archive", func() bool { return len(b.messages) >= count })
		c.send(t, b, count)
		b.wait(t, "a message that comes by itself", func() bool { return len(b.messages) == count+1 })
		defer b.lock()()
		for i, m := range b.messages {
			if m.ID != fmt.Sprint("m", i) {
				t.Fatalf("message %d is %s", i, m.ID)
			}
		}
	})
}

func TestFirstSessionTakesNothingOutOfTheArchive(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		conf := config(t, s, xmpptest.Business)
		b, c := online(t, conf), online(t, config(t, s, xmpptest.Customer))
		c.send(t, b, 1)
		b.wait(t, "message", func() bool { return len(b.messages) == 1 })
		b.leave(t, c)
		place := &shelf{}
		conf.Archive = place
		again := online(t, conf)
		again.wait(t, "own devices", func() bool { return len(again.own) > 0 })
		eventually(t, "position", func() bool { return place.position() != "" })
		if n := len(again.messages); n != 0 {
			t.Errorf("%d messages were read", n)
		}
	})
}

// result is a message that an archive brings.
func result(from, query, id, inner string) string {
	return "<message from='" + from + "'><result xmlns='" + stanza.NSArchive + "' queryid='" + query + "' id='" + id +
		"'><forwarded xmlns='" + stanza.NSForward + "'><delay xmlns='" + stanza.NSDelay + "' stamp='2026-01-02T03:04:05Z'/>" + inner + "</forwarded></result></message>"
}

func TestForgedArchivesAreRefused(t *testing.T) {
	place := &shelf{id: "7"}
	s := script(t, func(c *Config) { c.Archive = place })
	id, query := s.endsAt(t, "20")
	own := xmpptest.Business + "@relay.test"
	inner := strings.Replace(xmpptest.Stanzas()[0], "<message", "<message xmlns='jabber:client'", 1)
	for _, text := range []string{
		result(xmpptest.PeerJID, query, "8", inner),                    // a peer
		result(own, "another", "8", inner),                             // not what was asked
		result("relay.test", query, "8", inner),                        // the server, for nobody
		result(own, query, strings.Repeat("x", stanza.MaxID+1), inner), // an id too long
	} {
		s.says(t, text)
	}
	s.says(t, result(own, query, "9", ""))                                                     // nothing in it
	s.says(t, result(own, query, "10", strings.Replace(inner, xmpptest.PeerJID, own+"/x", 1))) // our own
	s.says(t, result(own, query, "11", strings.Replace(inner, "@relay.test", "@evil.test", 1)))
	s.says(t, result(own, query, "12", "<message xmlns='jabber:client' from='"+xmpptest.Customer+"@relay.test' type='headline'>"+fmt.Sprintf(xmpptest.List, "<device id='666'/>")+"</message>"))
	s.says(t, result(own, query, "13", "<message xmlns='jabber:client' from='"+xmpptest.PeerJID+"' type='error' id='1'/>"))
	s.says(t, result(own, query, "14", inner))
	s.says(t, "<iq type='result' id='"+id+"' from='"+own+"'><fin xmlns='"+stanza.NSArchive+"' complete='true'>"+lastIs("9")+"</fin></iq>")
	s.wait(t, "the one message", func() bool { return len(s.messages) == 1 })
	eventually(t, "position", func() bool { return place.position() == "14" })
	s.catchesUp(t)
	s.says(t, result(own, query, "15", inner)) // after the end
	eventually(t, "refusal", func() bool { return s.counts.counts()[stanza.DropUnasked] == 5 })
	want := map[stanza.Drop]int{stanza.DropUnasked: 5, stanza.DropMalformed: 1, stanza.DropForeignDomain: 1}
	if got := s.counts.counts(); !maps.Equal(got, want) {
		t.Errorf("counted %v, want %v", got, want)
	}
	defer s.lock()()
	if m := s.messages[0]; m.From != xmpptest.Number(t, xmpptest.Customer) || m.Time.Year() != 2026 || len(s.devices) != 0 || len(s.bounced) != 0 {
		t.Errorf("the archive brought %+v, devices %v, bounces %v", m, s.devices, s.bounced)
	}
}

func TestPositionThatTheServerForgotBeginsAtItsOldest(t *testing.T) {
	s := script(t, func(c *Config) { c.Archive = &shelf{id: "7"} })
	id, _ := s.endsAt(t, "20")
	s.says(t, "<iq type='error' id='"+id+"'><error type='cancel'><item-not-found xmlns='"+stanza.NSStanzas+"'/></error></iq>")
	s.wrote(t, "<max>500</max></set></query>")
}

func TestArchivePosition_OfAnotherServerBeginsAtTheOldest(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		b, c, place := startReading(t, s)
		begin := place.position()
		const count = 3
		for i := range count {
			c.send(t, b, i)
		}
		b.wait(t, "messages", func() bool { return len(b.messages) == count })
		eventually(t, "position to move", func() bool { return place.position() != begin })
		b.leave(t, c)
		unlock := b.lock()
		b.messages = nil
		unlock()
		check(t, place.SetPosition(t.Context(), "0197c2a1-another-servers-id"))
		b.start(t)
		b.wait(t, "messages out of the archive", func() bool { return len(b.messages) >= count })
		b.wait(t, "that it has caught up", func() bool { return len(b.caughtUp) == 2 })
	})
}

func TestArchivePosition_AtTheEndIsNotUnknown(t *testing.T) {
	s := script(t, func(c *Config) { c.Archive = &shelf{id: "7"} })
	own := xmpptest.Business + "@relay.test"
	for i, set := range []string{lastIs("7"), "", lastIs("7")} {
		s.says(t, "<iq type='result' id='"+s.asked(t, i+1)+"' from='"+own+"'><fin xmlns='"+stanza.NSArchive+"' complete='true'>"+set+"</fin></iq>")
	}
	s.catchesUp(t)
}

// lastIs is what a page says that ends with a message of that id.
func lastIs(id string) string {
	return "<set xmlns='" + stanza.NSSet + "'><last>" + id + "</last></set>"
}

// asked waits for the carrier's n-th request that sets something, and returns its id.
func (s *scripted) asked(t *testing.T, n int) (id string) {
	t.Helper()
	eventually(t, fmt.Sprintf("request %d", n), func() (found bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if parts := strings.Split(s.seen.String(), "<iq type='set' id='"); len(parts) > n {
			id, _, found = strings.Cut(parts[n], "'")
		}
		return found
	})
	return id
}

func TestArchivePosition_StaysUntilTheArchiveWasRead(t *testing.T) {
	place := &shelf{id: "7"}
	s := script(t, func(c *Config) { c.Archive = place })
	id := s.after(t, "<iq type='set' id='")
	s.says(t, "<iq type='error' id='"+id+"'><error type='wait'><internal-server-error xmlns='"+stanza.NSStanzas+"'/></error></iq>")
	s.wrote(t, "<presence>")
	s.says(t, strings.Replace(xmpptest.Stanzas()[0], "<store", "<stanza-id xmlns='"+stanza.NSStanzaID+"' by='"+xmpptest.Business+"@relay.test' id='99'/><store", 1))
	s.wait(t, "message", func() bool { return len(s.messages) == 1 })
	if got := place.position(); got != "7" {
		t.Errorf("the position is %q", got)
	}
}

// A message that arrived before the archive was read may be stored after: what the
// archive brought in between is not stored yet, and must be read again after a crash.
func TestArchivePosition_IsNotMovedByAMessageFromBeforeItWasRead(t *testing.T) {
	place := &shelf{id: "7"}
	s := script(t, func(c *Config) { c.Archive = place })
	id, _ := s.endsAt(t, "9")
	own := xmpptest.Business + "@relay.test"
	held := s.lock() // the Handler's
	s.says(t, strings.Replace(xmpptest.Stanzas()[0], "<store", "<stanza-id xmlns='"+stanza.NSStanzaID+"' by='"+own+"' id='99'/><store", 1))
	s.says(t, "<iq type='result' id='"+id+"' from='"+own+"'><fin xmlns='"+stanza.NSArchive+"' complete='true'>"+lastIs("9")+"</fin></iq>"+
		"<iq type='get' id='read-up-to-here' from='relay.test'><ping xmlns='"+stanza.NSPing+"'/></iq>")
	s.wrote(t, "read-up-to-here")
	held()
	s.catchesUp(t)
	s.wait(t, "message", func() bool { return len(s.messages) == 1 })
	if got := place.position(); got != "7" {
		t.Errorf("the position is %q", got)
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A position that cannot be kept must not be passed over.
func TestPositionThatCannotBeKeptGivesTheLinkUp(t *testing.T) {
	s := script(t, func(c *Config) { c.Archive = broken{} })
	id, _ := s.endsAt(t, "9")
	s.says(t, "<iq type='result' id='"+id+"'><fin xmlns='"+stanza.NSArchive+"' complete='true'>"+lastIs("9")+"</fin></iq>")
	s.catchesUp(t)
	s.says(t, strings.Replace(xmpptest.Stanzas()[0], "<store", "<stanza-id xmlns='"+stanza.NSStanzaID+"' by='"+xmpptest.Business+"@relay.test' id='99'/><store", 1))
	if err := <-s.ended; stream.ReasonOf(err).Reason != ReasonNotStored {
		t.Errorf("the link ended with %v", err)
	}
}

type broken struct{}

func (broken) Position(context.Context) (string, error) { return "7", nil }

func (broken) SetPosition(context.Context, string) error { return errors.New("disk full") }

func FuzzArchive(tf *testing.F) {
	f := mutation.Of(tf)
	own := xmpptest.Business + "@relay.test"
	for _, inner := range xmpptest.Stanzas()[:5] {
		f.Add(result(own, "q", "8", strings.Replace(inner, "<message", "<message xmlns='jabber:client'", 1)))
	}
	f.Add(result(own, "other", "8", ""))
	f.Add(result(own, "q", "9", result(own, "q", "10", xmpptest.Stanzas()[0])))
	f.Fuzz(func(t *testing.T, text string) {
		e, err := parse(text)
		if err != nil || e.Child(stanza.NSArchive, "result") == nil {
			return
		}
		c, err := New(Config{Login: Login{Account: xmpptest.Number(t, xmpptest.Business), Domain: "relay.test", Password: password}})
		check(t, err)
		c.progress.query, c.progress.wanted = "q", true
		r, id := (&service{c: c}).archived(e, xmpptest.Arrival())
		if len(id) > stanza.MaxID || len(r.Events)+len(r.Drops) > 2*stanza.MaxReceipts {
			t.Errorf("id of %d bytes, %d events, %d drops", len(id), len(r.Events), len(r.Drops))
		}
		from, _ := c.addr.Origin(e.Attr("from"))
		if (from != stanza.FromOwn || e.Child(stanza.NSArchive, "result").Attr("queryid") != "q") && (id != "" || len(r.Events) > 0) {
			t.Errorf("what nobody asked for is taken: id %q, %d events", id, len(r.Events))
		}
		for _, ev := range r.Events {
			switch ev := ev.(type) {
			case carrier.Message, carrier.Receipt, carrier.Unread:
			default:
				t.Errorf("the archive brings a %T", ev)
			}
		}
	})
}

// live is a message that arrives, and archivedAs what the archive brings of it.
func live(id, inArchive string) string {
	text := strings.Replace(strings.Replace(xmpptest.Stanzas()[0], "<store", "<stanza-id xmlns='"+stanza.NSStanzaID+"' by='"+xmpptest.Business+"@relay.test' id='"+inArchive+"'/><store", 1),
		"<message", "<message xmlns='jabber:client'", 1)
	before, rest, _ := strings.Cut(text, " id='")
	_, after, _ := strings.Cut(rest, "'")
	return before + " id='" + id + "'" + after
}

// What arrives while the archive is read is newer than what it still brings: read first, it would turn the
// ratchet on, and what is older could not be opened any more.
func TestArchive_ComesBeforeWhatArrivesMeanwhile(t *testing.T) {
	own := xmpptest.Business + "@relay.test"
	fin := func(id, last string, complete bool) string {
		return fmt.Sprintf("<iq type='result' id='%s' from='%s'><fin xmlns='%s' complete='%v'>%s</fin></iq>", id, own, stanza.NSArchive, complete, lastIs(last))
	}
	for name, test := range map[string]struct {
		n      int  // how many messages arrive meanwhile
		brings bool // the archive brings them, too
	}{
		"which it brings, too":       {1, true},
		"which it does not bring":    {1, false},
		"more than can be held back": {room + 20, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := script(t, func(c *Config) { c.Archive, c.holdBack = &shelf{id: "7"}, room })
			id, query := s.endsAt(t, "B")
			for i := range test.n {
				s.says(t, live(fmt.Sprint("live", i), fmt.Sprint("L", i)))
			}
			s.hasRead(t)
			s.says(t, result(own, query, "A", live("older", "A"))+fin(id, "A", false))
			id, query = s.asked(t, 3), s.lastQuery(t)
			s.says(t, result(own, query, "B", live("old", "B")))
			for i := range test.n {
				if test.brings {
					s.says(t, result(own, query, fmt.Sprint("L", i), live(fmt.Sprint("live", i), fmt.Sprint("L", i))))
				}
			}
			s.says(t, fin(id, "Z", false)) // it goes on, with what arrives
			s.catchesUp(t)
			s.wait(t, "all messages", func() bool { return len(s.messages) >= test.n+2 })
			defer s.lock()()
			var order []string
			want := []string{"older", "old"}
			for i := range test.n {
				want = append(want, fmt.Sprint("live", i))
			}
			for _, m := range s.messages {
				order = append(order, m.ID)
			}
			if !slices.Equal(order, want) {
				t.Errorf("the Handler got %d messages, %.60q…, want %d, %.60q…", len(order), order, len(want), want)
			}
		})
	}
}

// endsAt answers where the archive ends, and returns the id of the request for the first page and its query.
func (s *scripted) endsAt(t *testing.T, id string) (page, query string) {
	t.Helper()
	s.says(t, "<iq type='result' id='"+s.asked(t, 1)+"' from='"+xmpptest.Business+"@relay.test'><fin xmlns='"+stanza.NSArchive+"' complete='false'>"+lastIs(id)+"</fin></iq>")
	page = s.asked(t, 2)
	return page, s.lastQuery(t)
}

// lastQuery is the queryid of the carrier's last request.
func (s *scripted) lastQuery(t *testing.T) string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	text := s.seen.String()
	_, id, found := strings.Cut(text[strings.LastIndex(text, "queryid="):], "'")
	if !found {
		t.Fatal("there is no query")
	}
	id, _, _ = strings.Cut(id, "'")
	return id
}
