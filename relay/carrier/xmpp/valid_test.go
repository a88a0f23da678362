package xmpp

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/xmpptest"
	"github.com/relaykeep/relaykeep/test/fuzz/mutation"
)

// maxRelayed is the largest stanza that the servers take from a client, in bytes.
const maxRelayed = 256 << 10

// gene makes elements out of bytes, the same ones of the same bytes.
type gene []byte

// next returns a number below n; 0 once there is nothing left.
func (g *gene) next(n int) int {
	if len(*g) == 0 {
		return 0
	}
	b := int((*g)[0])
	*g = (*g)[1:]
	return b % n
}

func (g *gene) pick(of ...int) int { return of[g.next(len(of))] }

// name is one of an element that a relay knows, or of none.
func (g *gene) name() (space, local string) {
	names := [][2]string{
		{"urn:x", "x"},
		{stanza.NSOMEMO, "encrypted"},
		{stanza.NSOMEMO, "header"},
		{stanza.NSOMEMO, "key"},
		{stanza.NSOMEMO, "list"},
		{stanza.NSOMEMO, "device"},
		{stanza.NSEvent, "event"},
		{stanza.NSEvent, "items"},
		{stanza.NSEvent, "item"},
		{stanza.NSDelay, "delay"},
		{stanza.NSArchive, "result"},
		{stanza.NSForward, "forwarded"},
		{stanza.NSClient, "message"},
		{stanza.NSClient, "body"},
		{stanza.NSReceipts, "received"},
		{stanza.NSMarkers, "displayed"},
		{stanza.NSStates, "composing"},
		{stanza.NSEME, "encryption"},
		{stanza.NSStanzaID, "stanza-id"},
		{stanza.NSDisco, "query"},
		{nsRoster, "query"},
		{nsBlocking, "block"},
	}
	n := names[g.next(len(names))]
	return n[0], n[1]
}

// element makes one with what it holds, at most so many levels deep.
func (g *gene) element(levels int) *stanza.Element {
	e := stanza.New(g.name())
	for i := range g.pick(0, 1, 2, 8, 70, 300) {
		e.Attrs = append(e.Attrs, stanza.New("", "", fmt.Sprint("a", i), strings.Repeat("'", 1+g.next(4))).Attrs...)
	}
	for _, known := range []string{"id", "node", "sid", "rid", "stamp", "from"} {
		e.Attrs = append(e.Attrs, stanza.New("", "", known, []string{"", "7", stanza.NodeDevices, "2026-01-02T03:04:05Z", "relay.test"}[g.next(5)]).Attrs...)
	}
	text := []string{"x", "'", "<", "&", "AAEC", "\u00e9", "\U0001F600", "]]>"}
	e.WithText(strings.Repeat(text[g.next(len(text))], g.pick(0, 1, 20, 5000, 40_000, 200_000)))
	if levels == 0 {
		return e
	}
	if many := g.pick(0, 1, 1, 2, 3, 4090, 5000); many > 3 {
		small := stanza.New(g.name())
		for range many {
			e.With(small)
		}
	} else {
		for range many {
			e.With(g.element(levels - 1))
		}
	}
	return e
}

// stanza makes a stanza that a customer may send to another's address, or nil.
func (g *gene) stanza(to string) *stanza.Element {
	e := stanza.New(stanza.NSClient, []string{"message", "message", "iq", "presence"}[g.next(4)], "to", to, "id", fmt.Sprint("g", g.next(200)))
	kind := []string{"chat", "", "error", "headline", "normal", "groupchat"}[g.next(6)]
	switch e.Name.Local {
	case "iq":
		kind = []string{"get", "set", "result", "error"}[g.next(4)]
	case "presence":
		kind = []string{"", "subscribe", "subscribed", "unsubscribed"}[g.next(4)]
	}
	e.Attrs = append(e.Attrs, stanza.New("", "", "type", kind).Attrs...)
	at := e
	for range g.pick(0, 0, 0, 5, 29, 40, 400) {
		inner := stanza.New(g.name())
		at.With(inner)
		at = inner
	}
	for range 1 + g.next(3) {
		at.With(g.element(4))
	}
	if len(sparing(e)) > maxRelayed {
		return nil
	}
	return e
}

// sparing writes an element as a client does that escapes no more than it has to.
func sparing(e *stanza.Element) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(e.Bytes(), []byte("&#39;"), []byte("&apos;")), []byte("&#34;"), []byte("&quot;"))
}

func FuzzStanza_HoldsUpNoOtherCustomer(tf *testing.F) {
	f := mutation.Of(tf)
	for seed := range uint64(24) {
		random := rand.New(rand.NewPCG(seed, 9))
		data := make([]byte, 64)
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		f.Add(data)
	}
	next := strings.Replace(xmpptest.Stanzas()[0], xmpptest.Customer, xmpptest.Third, 1)
	f.Fuzz(func(t *testing.T, data []byte) {
		g := gene(data)
		e := g.stanza(xmpptest.Business + "@relay.test/" + DefaultResource)
		if e == nil {
			return
		}
		e.Attrs = append(e.Attrs, stanza.New("", "", "from", xmpptest.PeerJID).Attrs...)
		s := script(t, nil)
		s.says(t, string(sparing(e)))
		s.says(t, next+"<r xmlns='"+stanza.NSSM+"'/>")
		s.wait(t, "another customer's message", func() bool {
			return slices.ContainsFunc(s.messages, func(m carrier.Message) bool { return m.From.E164() == xmpptest.Third })
		})
		s.wrote(t, "<a xmlns='"+stanza.NSSM+"' h='2'/>")
		select {
		case err := <-s.ended:
			t.Errorf("the link ended: %v", err)
		default:
		}
	})
}

func TestStanzas_RandomOnesHoldUpNoOtherCustomer(t *testing.T) {
	onServers(t, func(t *testing.T, s server) {
		b, c, other := online(t, config(t, s, xmpptest.Business)), online(t, config(t, s, xmpptest.Customer)), online(t, config(t, s, xmpptest.Third))
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		random, sent := rand.New(rand.NewPCG(seed, 1)), 0
		for sent < 40 {
			g := make(gene, 64)
			for i := range g {
				g[i] = byte(random.Uint32())
			}
			e := g.stanza(c.addr.Of(b.number) + "/" + DefaultResource)
			if e == nil || len(sparing(e)) > maxRelayed/2 {
				continue
			}
			sent++
			c.tells(t, e)
			check(t, c.persist(t.Context(), other, fmt.Sprint("to other ", sent), sent)) // the server has it
			other.send(t, b, sent)
			b.wait(t, "another's message", func() bool {
				return slices.ContainsFunc(b.messages, func(m carrier.Message) bool { return m.From == other.number && m.ID == fmt.Sprint("m", sent) })
			})
		}
		defer b.lock()()
		if len(b.connected) != 1 {
			t.Errorf("%d links, want 1", len(b.connected))
		}
	})
}
