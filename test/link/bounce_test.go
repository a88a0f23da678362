package link_test

import (
	"bytes"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/test/await"
	"github.com/relaykeep/relaykeep/test/customers"
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

// shows waits until the client shows as many texts, and wants them to be these in that
// order. The receipt for a text goes out while it is about to be shown.
func shows(t *testing.T, c *customers.Client, want ...string) {
	t.Helper()
	await.Until(t, "texts", func() bool { return len(c.Texts()) >= len(want) })
	if got := c.Texts(); !slices.Equal(got, want) {
		t.Errorf("the customer got %q", got)
	}
}

// leaveNothing has the client leave when all that the relay sent counts as handled at the
// server, which else would keep it: what came behind it is taken.
func (r *relay) leaveNothing(c *customers.Client) {
	r.t.Helper()
	check(r.t, r.carrier.SendTyping(r.t.Context(), c.Number, true)) // nobody keeps that
	c.Wait("what nobody keeps", func(e customer.Event) bool { return e.Kind == customer.Typing })
	c.Stop()
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
	await.Until(r.t, "delivery", func() bool { return r.told(id, "delivered") > 0 })
	if sent, failed := r.told(id, "sent"), r.told(id, "failed"); sent != 1 || failed != 0 {
		r.t.Errorf("the business was told %d times that it was sent and %d times that it failed", sent, failed)
	}
}

func TestBounce_FromABusyServerIsSentAgainAsItWas(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real server")
	}
	s := prosody.StartT(t, prosody.Options{Registration: true, Modules: map[string]string{"busy": busy}})
	r, p := startRelay(t, s, "+15550100001", 1001), customers.Start(t, s, "+15550100002")
	id := r.says(p.Number, "comes back twice")
	r.arrived(id)
	shows(t, p, "comes back twice")
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
	r, p := startRelay(t, s, "+15550100001", 1001), customers.Start(t, s, "+15550100002")
	r.arrived(r.says(p.Number, "here"))
	r.leaveNothing(p)
	kept := r.says(p.Number, "kept")
	await.Until(t, "the server has it", func() bool { return r.told(kept, "sent") > 0 })
	back := r.says(p.Number, "comes back")
	await.Until(t, "a bounce", func() bool { return r.Count(message.EventBounced) > 1 })
	await.Until(t, "it counts as sent", func() bool { return r.told(back, "sent") > 0 })
	if r.told(back, "sent") != 1 || r.told(back, "failed") != 0 {
		t.Error("while it comes back the business was not told that it was sent, and no more")
	}
	p.Start()
	r.arrived(kept)
	r.arrived(back)
	shows(t, p, "here", "kept", "comes back")
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
	r := startRelay(t, s, "+15550100001", 1001)
	c := customers.Start(t, p, "+15550100002")
	r.arrived(r.says(c.Number, "here"))
	shows(t, c, "here")
	silent.Store(true)
	var ids []string
	for i := range 3 * queued {
		ids = append(ids, r.says(c.Number, fmt.Sprint("text ", i)))
	}
	await.Until(t, "what comes back", func() bool { return r.Count(message.EventBounced) > 0 })
	silent.Store(false)
	r.arrived(r.says(c.Number, "at last"))
	// What ejabberd was about to give to the session that it ended is in its archive alone,
	// which this client does not read: it is neither shown nor returned, and stays sent.
	for i, id := range ids {
		await.Until(t, "that it was sent", func() bool { return r.told(id, "sent") > 0 })
		if r.told(id, "sent") != 1 || r.told(id, "failed") != 0 {
			t.Errorf("text %d was told %d times as sent and %d times as failed", i, r.told(id, "sent"), r.told(id, "failed"))
		}
	}
	shown := c.Texts()
	slices.Sort(shown)
	if len(slices.Compact(slices.Clone(shown))) != len(shown) || len(shown) < queued {
		t.Errorf("the client showed %q", shown)
	}
	t.Logf("of %d texts %d came back, and %d were shown", len(ids), r.Count(message.EventBounced), len(shown)-2)
}
