package customer_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// hub is a carrier in memory: what one link sends, the other's handler gets, at
// once and in order. It keeps what is sent to who is away.
type hub struct {
	mu      sync.Mutex // guards the following fields
	lists   map[phone.Number][]carrier.DeviceID
	bundles map[phone.Number]map[carrier.DeviceID]carrier.Bundle
	inboxes map[phone.Number]chan carrier.Event
	hidden  bool // lists are not readable, as Profanity's
	busy    int  // how many publications of each new link fail
}

func newHub() *hub {
	return &hub{
		lists:   map[phone.Number][]carrier.DeviceID{},
		bundles: map[phone.Number]map[carrier.DeviceID]carrier.Bundle{},
		inboxes: map[phone.Number]chan carrier.Event{},
	}
}

func (h *hub) link(n phone.Number) *link {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.inboxes[n] == nil {
		h.inboxes[n] = make(chan carrier.Event, 1000)
	}
	return &link{hub: h, own: n, inbox: h.inboxes[n]}
}

func (h *hub) deliver(to phone.Number, ev carrier.Event) {
	h.mu.Lock()
	inbox := h.inboxes[to]
	h.mu.Unlock()
	inbox <- ev
}

// link is one account's link to the hub (carrier.Carrier).
type link struct {
	hub   *hub
	own   phone.Number
	inbox chan carrier.Event

	mu   sync.Mutex      // guards the following fields
	fail []error         // answers of the next calls of Send
	busy int             // how many publications fail for the time being
	last carrier.Message // the last text that was sent, for a replay
}

func (l *link) Run(ctx context.Context, h carrier.Handler) error {
	l.hub.mu.Lock()
	own := slices.Clone(l.hub.lists[l.own])
	l.hub.mu.Unlock()
	if err := h.Receive(ctx, []carrier.Event{carrier.Connected{}, carrier.OwnDeviceList{Devices: own}}); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case ev := <-l.inbox:
			_ = h.Receive(ctx, []carrier.Event{ev})
		}
	}
}

func (l *link) Status() carrier.Status { return carrier.Status{State: carrier.Online} }

var errBusy = errors.New("internal server error, for the time being")

// isBusy counts a publication and says whether it fails.
func (l *link) isBusy() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy > 0 {
		l.busy--
		return errBusy
	}
	return nil
}

func (l *link) PublishDevices(_ context.Context, devices []carrier.DeviceID) error {
	if err := l.isBusy(); err != nil {
		return err
	}
	l.hub.mu.Lock()
	defer l.hub.mu.Unlock()
	l.hub.lists[l.own] = slices.Clone(devices)
	return nil
}

func (l *link) PublishBundle(_ context.Context, d carrier.DeviceID, b carrier.Bundle) error {
	if err := l.isBusy(); err != nil {
		return err
	}
	l.hub.mu.Lock()
	defer l.hub.mu.Unlock()
	if l.hub.bundles[l.own] == nil {
		l.hub.bundles[l.own] = map[carrier.DeviceID]carrier.Bundle{}
	}
	l.hub.bundles[l.own][d] = b
	return nil
}

func (l *link) Devices(_ context.Context, peer phone.Number) ([]carrier.DeviceID, error) {
	l.hub.mu.Lock()
	defer l.hub.mu.Unlock()
	if list, ok := l.hub.lists[peer]; ok && (peer == l.own || !l.hub.hidden) {
		return slices.Clone(list), nil
	}
	return nil, carrier.ErrNotFound
}

func (l *link) Bundle(_ context.Context, peer phone.Number, d carrier.DeviceID) (carrier.Bundle, error) {
	l.hub.mu.Lock()
	defer l.hub.mu.Unlock()
	if b, ok := l.hub.bundles[peer][d]; ok {
		return b, nil
	}
	return carrier.Bundle{}, carrier.ErrNotFound
}

func (l *link) Send(_ context.Context, o carrier.Outgoing) error {
	l.mu.Lock()
	var err error
	if len(l.fail) > 0 {
		err, l.fail = l.fail[0], l.fail[1:]
	}
	l.mu.Unlock()
	if err != nil {
		return err
	}
	m := carrier.Message{ID: o.ID, From: l.own, Envelope: o.Envelope, Time: time.Now(), WantsReceipt: o.Receipts, WantsRead: o.Receipts}
	if o.Envelope.Payload != nil {
		l.mu.Lock()
		l.last = m
		l.mu.Unlock()
	}
	l.hub.deliver(o.To, m)
	return nil
}

func (l *link) SendReceipt(_ context.Context, to phone.Number, id string, kinds ...carrier.ReceiptKind) error {
	for _, kind := range kinds {
		l.hub.deliver(to, carrier.Receipt{From: l.own, ID: id, Kind: kind})
	}
	return nil
}

func (l *link) SendTyping(context.Context, phone.Number, bool) error { return nil }

func (l *link) Refuse(context.Context, phone.Number, carrier.Refusal) error { return nil }

// person is a customer that runs on the hub.
type person struct {
	t      *testing.T
	number phone.Number
	dir    string
	state  *customer.State
	link   *link
	*customer.Customer
	events chan customer.Event
	stop   func()
}

func number(t *testing.T, s string) phone.Number {
	t.Helper()
	n, err := phone.Parse(s)
	check(t, err)
	return n
}

// start runs a customer on the hub until stop, and waits until it is online.
func (h *hub) start(t *testing.T, dir string, n phone.Number) *person {
	t.Helper()
	state, err := customer.OpenState(dir, n)
	check(t, err)
	p := &person{t: t, number: n, dir: dir, state: state, link: h.link(n), events: make(chan customer.Event, 1000)}
	p.link.busy = h.busy
	online := make(chan struct{})
	p.Customer = customer.New(customer.Options{State: state, Carrier: p.link, OnEvent: func(e customer.Event) {
		if e.Kind == customer.Online { // what waited at the hub may arrive before it
			close(online)
			return
		}
		p.events <- e
	}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	p.stop = sync.OnceFunc(func() {
		cancel()
		check(t, <-done)
		check(t, state.Close())
	})
	<-online
	return p
}

// next waits for the next event, which must be of a kind.
func (p *person) next(kind customer.EventKind) customer.Event {
	p.t.Helper()
	select {
	case e := <-p.events:
		if e.Kind != kind {
			p.t.Fatalf("event %q, want %q", e.Kind, kind)
		}
		return e
	case <-time.After(time.Hour): // of the bubble's clock
		p.t.Fatalf("no event, want %q", kind)
		return customer.Event{}
	}
}

// says sends a text and waits until it is shown and its receipts are back.
func (p *person) says(to *person, text string) {
	p.t.Helper()
	id, err := p.Send(p.t.Context(), to.number, text)
	check(p.t, err)
	if got := to.next(customer.Received); got.Text != text || got.Peer != p.number {
		p.t.Errorf("received %q, want %q", got.Text, text)
	}
	for _, kind := range []customer.EventKind{customer.Delivered, customer.Read} {
		if e := p.next(kind); e.ID != id {
			p.t.Errorf("%s names another message", kind)
		}
	}
}

// inBubble runs a test whose clock stands still while anything is under way.
func inBubble(t *testing.T, test func(t *testing.T, h *hub, alice, bob *person)) {
	aliceDir, bobDir := t.TempDir(), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		alice, bob := h.start(t, aliceDir, number(t, "+491701111111")), h.start(t, bobDir, number(t, "+49302222222"))
		test(t, h, alice, bob)
		alice.stop()
		bob.stop()
	})
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
