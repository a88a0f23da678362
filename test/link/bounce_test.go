package link_test

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier/xmpp"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/test/services/ejabberd"
	"github.com/relaykeep/relaykeep/test/services/faultproxy"
	"github.com/relaykeep/relaykeep/test/services/prosody"
)

// busy is a module of Prosody's that returns each message with content twice, for the
// time being, and for good what comes again as another ciphertext.
const busy = `
local st = require "util.stanza"
local first, times = {}, {}

local function back(event)
	local stanza = event.stanza
	local encrypted = stanza:get_child("encrypted", "eu.siacs.conversations.axolotl")
	if stanza.attr.type == "error" or not encrypted or not encrypted:get_child("payload") then return end
	local id, text = stanza.attr.id, tostring(encrypted)
	first[id], times[id] = first[id] or text, (times[id] or 0) + 1
	if first[id] ~= text then
		event.origin.send(st.error_reply(stanza, "cancel", "conflict"))
		return true
	end
	if times[id] <= 2 then
		event.origin.send(st.error_reply(stanza, "wait", "resource-constraint"))
		return true
	end
end

module:hook("message/bare", back, 1000)
module:hook("message/full", back, 1000)
`

// person is a customer's client that comes and goes.
type person struct {
	t        *testing.T
	dir      string
	at       place
	number   phone.Number
	Customer *customer.Customer // while it is there
	leave    func()

	mu   sync.Mutex // guards the following field
	seen []customer.Event
}

func newPerson(t *testing.T, at place, number string) *person {
	t.Helper()
	n, err := phone.Parse(number)
	check(t, err)
	p := &person{t: t, dir: filepath.Join(t.TempDir(), "state"), at: at, number: n}
	p.come()
	return p
}

// come has the client go online, with the keys that it had.
func (p *person) come() {
	p.t.Helper()
	state, err := customer.OpenState(p.dir, p.number)
	check(p.t, err)
	_, password := state.Account()
	link, err := xmpp.New(xmpp.Config{
		Login:        xmpp.Login{Account: p.number, Domain: p.at.domain, Address: p.at.addr, CABundle: p.at.ca, Password: password},
		Registration: xmpp.Open,
	})
	check(p.t, err)
	online := make(chan struct{})
	up := sync.OnceFunc(func() { close(online) })
	p.Customer = customer.New(customer.Options{State: state, Carrier: link, OnEvent: func(e customer.Event) {
		if e.Kind == customer.Online {
			up()
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.seen = append(p.seen, e)
	}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Customer.Run(ctx) }()
	p.leave = sync.OnceFunc(func() {
		cancel()
		check(p.t, <-done)
		check(p.t, state.Close())
	})
	p.t.Cleanup(p.leave)
	select {
	case <-online:
	case <-time.After(patience):
		p.t.Fatal("the customer does not go online")
	}
}

// texts are what the client showed, in order.
func (p *person) texts() (texts []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.seen {
		if e.Kind == customer.Received {
			texts = append(texts, e.Text)
		}
	}
	return texts
}

// shows waits until the client shows as many texts, and wants them to be these in that
// order. The receipt for a text goes out while it is about to be shown.
func (p *person) shows(want ...string) {
	p.t.Helper()
	eventually(p.t, "texts", func() bool { return len(p.texts()) >= len(want) })
	if got := p.texts(); !slices.Equal(got, want) {
		p.t.Errorf("the customer got %q", got)
	}
}

// leaveNothing has the client leave when all that the relay sent counts as handled at the
// server, which else would keep it: what came behind it is taken.
func (p *person) leaveNothing(r *relay) {
	p.t.Helper()
	check(p.t, r.carrier.SendTyping(p.t.Context(), p.number, true)) // nobody keeps that
	eventually(p.t, "what nobody keeps", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return slices.ContainsFunc(p.seen, func(e customer.Event) bool { return e.Kind == customer.Typing })
	})
	p.leave()
}

// says has the business send a text.
func (r *relay) says(to phone.Number, text string) string {
	r.t.Helper()
	id, err := r.AcceptText(r.t.Context(), message.Text{To: to, Body: text})
	check(r.t, err)
	return id
}

// told returns how often the business was told that a message came to a state.
func (r *relay) told(id, state string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.statuses[id][state]
}

// arrived waits until a message was delivered and fails the test unless the business
// was told once that it was sent and never that it failed.
func (r *relay) arrived(id string) {
	r.t.Helper()
	eventually(r.t, "delivery", func() bool { return r.told(id, "delivered") > 0 })
	if sent, failed := r.told(id, "sent"), r.told(id, "failed"); sent != 1 || failed != 0 {
		r.t.Errorf("the business was told %d times that it was sent and %d times that it failed", sent, failed)
	}
}

func TestBounce_FromABusyServerIsSentAgainAsItWas(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real server")
	}
	s := prosody.StartT(t, prosody.Options{Registration: true, Modules: map[string]string{"busy": busy}})
	at := place{s.Domain, s.Addr, s.CAPEM}
	r, p := startRelay(t, at, "+15550100001", 1001), newPerson(t, at, "+15550100002")
	id := r.says(p.number, "comes back twice")
	r.arrived(id)
	p.shows("comes back twice")
	if n := r.Count(message.EventBounced); n != 2 {
		t.Errorf("%d came back", n)
	}
}

// TestBounce_FromAFullOfflineQueueArrivesWhenThereIsRoom: ejabberd returns, for the time
// being, what is more than it keeps for an account that is away.
func TestBounce_FromAFullOfflineQueueArrivesWhenThereIsRoom(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real server")
	}
	s := ejabberd.StartT(t, ejabberd.Options{Registration: true, OfflineMessages: 1})
	at := place{s.Domain, s.Addr, s.CAPEM}
	r, p := startRelay(t, at, "+15550100001", 1001), newPerson(t, at, "+15550100002")
	r.arrived(r.says(p.number, "here"))
	p.leaveNothing(r)
	kept := r.says(p.number, "kept")
	eventually(t, "the server has it", func() bool { return r.told(kept, "sent") > 0 })
	back := r.says(p.number, "comes back")
	eventually(t, "a bounce", func() bool { return r.Count(message.EventBounced) > 1 })
	eventually(t, "it counts as sent", func() bool { return r.told(back, "sent") > 0 })
	if r.told(back, "sent") != 1 || r.told(back, "failed") != 0 {
		t.Error("while it comes back the business was not told that it was sent, and no more")
	}
	p.come()
	r.arrived(kept)
	r.arrived(back)
	p.shows("here", "kept", "comes back")
}

// TestBounce_FromAFullAcknowledgementQueueIsNotUndeliverable: a client acknowledges nothing
// (and sends no receipts, as some do to strangers), until ejabberd ends its session and
// returns all that it had, shown or not.
func TestBounce_FromAFullAcknowledgementQueueIsNotUndeliverable(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real server")
	}
	const queued = 10
	s := ejabberd.StartT(t, ejabberd.Options{Registration: true, AckQueue: queued, Returns: true})
	at := place{s.Domain, s.Addr, s.CAPEM}
	p := faultproxy.StartT(t, s)
	var silent atomic.Bool
	p.Follow(func(way faultproxy.Way, element []byte) faultproxy.Fault {
		ack := bytes.HasPrefix(element, []byte("<a "))
		receipt := bytes.Contains(element, []byte("urn:xmpp:receipts")) || bytes.Contains(element, []byte("urn:xmpp:chat-markers"))
		if way == faultproxy.ToServer && silent.Load() && (ack || receipt) {
			return faultproxy.Omit
		}
		return faultproxy.Pass
	})
	r := startRelay(t, at, "+15550100001", 1001)
	c := newPerson(t, place{s.Domain, p.Addr, p.CAPEM}, "+15550100002")
	r.arrived(r.says(c.number, "here"))
	c.shows("here")
	silent.Store(true)
	var ids []string
	for i := range 3 * queued {
		ids = append(ids, r.says(c.number, fmt.Sprint("text ", i)))
	}
	eventually(t, "what comes back", func() bool { return r.Count(message.EventBounced) > 0 })
	silent.Store(false)
	r.arrived(r.says(c.number, "at last"))
	// What ejabberd was about to give to the session that it ended is in its archive alone,
	// which this client does not read: it is neither shown nor returned, and stays sent.
	for i, id := range ids {
		eventually(t, "that it was sent", func() bool { return r.told(id, "sent") > 0 })
		if r.told(id, "sent") != 1 || r.told(id, "failed") != 0 {
			t.Errorf("text %d was told %d times as sent and %d times as failed", i, r.told(id, "sent"), r.told(id, "failed"))
		}
	}
	shown := c.texts()
	slices.Sort(shown)
	if len(slices.Compact(slices.Clone(shown))) != len(shown) || len(shown) < queued {
		t.Errorf("the client showed %q", shown)
	}
	t.Logf("of %d texts %d came back, and %d were shown", len(ids), r.Count(message.EventBounced), len(shown)-2)
}
