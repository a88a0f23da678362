package message_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// hub is a carrier in memory. What is sent waits in the recipient's inbox until its
// handler took it.
type hub struct {
	mu      sync.Mutex // guards the following fields
	lists   map[phone.Number][]carrier.DeviceID
	bundles map[phone.Number]map[carrier.DeviceID]carrier.Bundle
	inboxes map[phone.Number]*inbox
	// tamper changes messages on their way.
	tamper func(to phone.Number, m carrier.Message) carrier.Message
	typing []bool // what was sent of "is typing", in order
	muted  bool   // receipts get lost
	pushes bool   // device lists go to everybody when they change, as PEP does for friends
	// cuts says that a link breaks before what its handler took is acknowledged; nil for
	// never.
	cuts func(to phone.Number) bool
}

type inbox struct {
	events []carrier.Event
	wake   chan struct{}
}

func newHub() *hub {
	return &hub{
		lists:   map[phone.Number][]carrier.DeviceID{},
		bundles: map[phone.Number]map[carrier.DeviceID]carrier.Bundle{},
		inboxes: map[phone.Number]*inbox{},
	}
}

// change changes how the hub behaves.
func (h *hub) change(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

// devices returns a number's published device list.
func (h *hub) devices(n phone.Number) []carrier.DeviceID {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.lists[n])
}

// bundle returns a published bundle.
func (h *hub) bundle(n phone.Number, d carrier.DeviceID) carrier.Bundle {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.bundles[n][d]
}

// typed returns what was sent of "is typing".
func (h *hub) typed() []bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.typing)
}

// inbox returns a number's inbox. The caller holds mu.
func (h *hub) inbox(n phone.Number) *inbox {
	if h.inboxes[n] == nil {
		h.inboxes[n] = &inbox{wake: make(chan struct{}, 1)}
	}
	return h.inboxes[n]
}

func (h *hub) deliver(to phone.Number, ev carrier.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	in := h.inbox(to)
	in.events = append(in.events, ev)
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

// link is one account's link to the hub (carrier.Carrier).
type link struct {
	hub *hub
	own phone.Number

	mu       sync.Mutex // guards the following fields
	handler  carrier.Handler
	sent     []carrier.Outgoing
	fetched  int     // device lists and bundles
	started  int     // bundles
	unknown  bool    // nobody has a device list or a bundle
	fails    []error // answers of the next calls of Send, nil for none
	silently bool    // what fails is delivered nevertheless
	refusals []refusal
	// bounces says what comes back, before the carrier acknowledged it, or the call
	// failed silently, and instead of being delivered; nil for nothing.
	bounces func(o carrier.Outgoing) (back, temporary bool)
}

// refusal is what a client was told that was refused.
type refusal struct {
	to phone.Number
	carrier.Refusal
}

func (h *hub) link(n phone.Number) *link { return &link{hub: h, own: n} }

// Run hands over what arrives; what the handler does not take ends the link and
// comes again on the next one.
func (l *link) Run(ctx context.Context, h carrier.Handler) error {
	l.mu.Lock()
	l.handler = h
	l.mu.Unlock()
	l.hub.mu.Lock()
	in, own := l.hub.inbox(l.own), slices.Clone(l.hub.lists[l.own])
	l.hub.mu.Unlock()
	for ctx.Err() == nil {
		if h.Receive(ctx, []carrier.Event{carrier.Connected{}, carrier.OwnDeviceList{Devices: own}}) == nil {
			l.serve(ctx, h, in)
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
	return ctx.Err()
}

func (l *link) serve(ctx context.Context, h carrier.Handler, in *inbox) {
	for {
		l.hub.mu.Lock()
		var next []carrier.Event
		if len(in.events) > 0 {
			next = in.events[:1]
		}
		l.hub.mu.Unlock()
		if next == nil {
			if h.Receive(ctx, []carrier.Event{carrier.CaughtUp{}}) != nil {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-in.wake:
				continue
			}
		}
		if h.Receive(ctx, next) != nil {
			return
		}
		l.hub.mu.Lock()
		cut := l.hub.cuts != nil && l.hub.cuts(l.own)
		if !cut {
			in.events = in.events[1:]
		}
		l.hub.mu.Unlock()
		if cut {
			return
		}
	}
}

func (l *link) Status() carrier.Status { return carrier.Status{State: carrier.Online} }

func (l *link) PublishDevices(_ context.Context, devices []carrier.DeviceID) error {
	l.hub.mu.Lock()
	defer l.hub.mu.Unlock()
	changed := !slices.Equal(l.hub.lists[l.own], devices)
	l.hub.lists[l.own] = slices.Clone(devices)
	var others []phone.Number
	for n := range l.hub.inboxes {
		if n != l.own && changed && l.hub.pushes {
			others = append(others, n)
		}
	}
	l.hub.mu.Unlock()
	defer l.hub.mu.Lock() // for the deferred Unlock
	for _, n := range others {
		l.hub.deliver(n, carrier.DeviceList{Peer: l.own, Devices: devices})
	}
	return nil
}

func (l *link) PublishBundle(_ context.Context, d carrier.DeviceID, b carrier.Bundle) error {
	l.hub.mu.Lock()
	defer l.hub.mu.Unlock()
	if l.hub.bundles[l.own] == nil {
		l.hub.bundles[l.own] = map[carrier.DeviceID]carrier.Bundle{}
	}
	l.hub.bundles[l.own][d] = b
	return nil
}

// asked counts a fetch and says whether nobody is known.
func (l *link) asked() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fetched++
	return l.unknown
}

// bundles counts the bundles that were asked for.
func (l *link) bundles() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.started
}

func (l *link) Devices(_ context.Context, peer phone.Number) ([]carrier.DeviceID, error) {
	unknown := l.asked()
	l.hub.mu.Lock()
	defer l.hub.mu.Unlock()
	if list, ok := l.hub.lists[peer]; ok && !unknown {
		return slices.Clone(list), nil
	}
	return nil, carrier.ErrNotFound
}

func (l *link) Bundle(_ context.Context, peer phone.Number, d carrier.DeviceID) (carrier.Bundle, error) {
	unknown := l.asked()
	l.mu.Lock()
	l.started++
	l.mu.Unlock()
	l.hub.mu.Lock()
	defer l.hub.mu.Unlock()
	if b, ok := l.hub.bundles[peer][d]; ok && !unknown {
		return b, nil
	}
	return carrier.Bundle{}, carrier.ErrNotFound
}

func (l *link) Send(_ context.Context, o carrier.Outgoing) error {
	l.mu.Lock()
	var err error
	if len(l.fails) > 0 {
		err, l.fails = l.fails[0], l.fails[1:]
	}
	lost := err != nil && !l.silently
	if !lost {
		l.sent = append(l.sent, o)
	}
	bounces, handler := l.bounces, l.handler
	l.mu.Unlock()
	var back, temporary bool
	if bounces != nil && !lost {
		back, temporary = bounces(o)
	}
	if back {
		if err := handler.Receive(context.Background(), []carrier.Event{carrier.Bounce{To: o.To, ID: o.ID, Temporary: temporary}}); err != nil {
			return err
		}
	}
	if errors.Is(err, carrier.ErrOffline) || errors.Is(err, carrier.ErrUnconfirmed) {
		go l.reconnect()
	}
	if lost || back {
		return err
	}
	m := carrier.Message{ID: o.ID, From: l.own, Resource: "phone", Envelope: o.Envelope, Time: time.Now(), WantsReceipt: o.Receipts, WantsRead: o.Receipts}
	l.hub.mu.Lock()
	if l.hub.tamper != nil {
		m = l.hub.tamper(o.To, m)
	}
	l.hub.mu.Unlock()
	l.hub.deliver(o.To, m)
	return err
}

// reconnect tells the handler that a link is up again.
func (l *link) reconnect() {
	elapse(10 * time.Millisecond)
	l.mu.Lock()
	h := l.handler
	l.mu.Unlock()
	_ = h.Receive(context.Background(), []carrier.Event{carrier.Connected{}})
}

func (l *link) Refuse(_ context.Context, to phone.Number, r carrier.Refusal) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refusals = append(l.refusals, refusal{to, r})
	return nil
}

func (l *link) SendReceipt(_ context.Context, to phone.Number, id string, kinds ...carrier.ReceiptKind) error {
	l.hub.mu.Lock()
	muted := l.hub.muted
	l.hub.mu.Unlock()
	if muted {
		return nil
	}
	for _, kind := range kinds {
		l.hub.deliver(to, carrier.Receipt{From: l.own, ID: id, Kind: kind})
	}
	return nil
}

func (l *link) SendTyping(_ context.Context, _ phone.Number, composing bool) error {
	l.hub.mu.Lock()
	defer l.hub.mu.Unlock()
	l.hub.typing = append(l.hub.typing, composing)
	return nil
}

// lose has the next calls of Send fail for want of a link.
func (l *link) lose(times int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fails = slices.Repeat([]error{carrier.ErrOffline}, times)
}

// loseUnconfirmed has the link break in the next calls of Send, after the carrier took
// what they send.
func (l *link) loseUnconfirmed(times int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fails, l.silently = slices.Repeat([]error{carrier.ErrUnconfirmed}, times), true
}

// losing returns how many calls are left that fail.
func (l *link) losing() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.fails)
}

// bounce has messages come back.
func (l *link) bounce(f func(o carrier.Outgoing) (back, temporary bool)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bounces = f
}

// last returns the last message that was sent to a number, as it arrived there.
func (l *link) last() carrier.Message {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.sent[len(l.sent)-1]
	return carrier.Message{ID: o.ID, From: l.own, Envelope: o.Envelope, Time: time.Now(), WantsReceipt: o.Receipts}
}

// texts returns what was sent with content.
func (l *link) texts() []carrier.Outgoing {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []carrier.Outgoing
	for _, o := range l.sent {
		if o.Envelope.Payload != nil {
			out = append(out, o)
		}
	}
	return out
}
