package carriertest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/phone"
)

var _ carrier.Carrier = (*Link)(nil)

// Link is one account's link to the hub (carrier.Carrier).
type Link struct {
	hub *Hub
	own phone.Number

	mu       sync.Mutex // guards the following fields
	handler  carrier.Handler
	sent     []carrier.Outgoing
	fetched  int     // device lists and bundles
	started  int     // bundles
	busy     int     // how many publications fail
	unknown  bool    // nobody has a device list or a bundle
	fails    []error // answers of the next calls of Send, nil for none
	silently bool    // what fails is delivered nevertheless
	refusals []Refusal
	// bounces says what comes back, before the carrier acknowledged it, or the call
	// failed silently, and instead of being delivered; nil for nothing.
	bounces func(o carrier.Outgoing) (back, temporary bool)
}

// Refusal is what a client was told that was refused.
type Refusal struct {
	To phone.Number
	carrier.Refusal
}

// Run hands over what arrives; what the handler does not take ends the link and
// comes again on the next one.
func (l *Link) Run(ctx context.Context, h carrier.Handler) error {
	l.mu.Lock()
	l.handler = h
	l.mu.Unlock()
	l.hub.mu.Lock()
	in, own := l.hub.inbox(l.own), slices.Clone(l.hub.Lists[l.own])
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

func (l *Link) serve(ctx context.Context, h carrier.Handler, in *inbox) {
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
		cut := l.hub.Cuts != nil && l.hub.Cuts(l.own)
		if !cut {
			in.events = in.events[1:]
		}
		l.hub.mu.Unlock()
		if cut {
			return
		}
	}
}

// Status says that the link is up (carrier.Carrier).
func (l *Link) Status() carrier.Status { return carrier.Status{State: carrier.Online} }

// PublishDevices publishes the own device list (carrier.Carrier).
func (l *Link) PublishDevices(_ context.Context, devices []carrier.DeviceID) error {
	if err := l.published(); err != nil {
		return err
	}
	for _, n := range l.hub.publish(l.own, devices) {
		l.hub.Deliver(n, carrier.DeviceList{Peer: l.own, Devices: devices})
	}
	return nil
}

// PublishBundle publishes a bundle of the own account (carrier.Carrier).
func (l *Link) PublishBundle(_ context.Context, d carrier.DeviceID, b carrier.Bundle) error {
	if err := l.published(); err != nil {
		return err
	}
	l.hub.mu.Lock()
	defer l.hub.mu.Unlock()
	if l.hub.Bundles[l.own] == nil {
		l.hub.Bundles[l.own] = map[carrier.DeviceID]carrier.Bundle{}
	}
	l.hub.Bundles[l.own][d] = b
	return nil
}

// asked counts a fetch and says whether nobody is known.
func (l *Link) asked() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fetched++
	return l.unknown
}

// BundleFetches counts the bundles that were asked for.
func (l *Link) BundleFetches() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.started
}

// Devices returns a peer's device list (carrier.Carrier).
func (l *Link) Devices(_ context.Context, peer phone.Number) ([]carrier.DeviceID, error) {
	unknown := l.asked()
	l.hub.mu.Lock()
	defer l.hub.mu.Unlock()
	if list, ok := l.hub.Lists[peer]; ok && !unknown {
		return slices.Clone(list), nil
	}
	return nil, carrier.ErrNotFound
}

// Bundle returns a bundle of a peer's (carrier.Carrier).
func (l *Link) Bundle(_ context.Context, peer phone.Number, d carrier.DeviceID) (carrier.Bundle, error) {
	unknown := l.asked()
	l.mu.Lock()
	l.started++
	l.mu.Unlock()
	l.hub.mu.Lock()
	defer l.hub.mu.Unlock()
	if b, ok := l.hub.Bundles[peer][d]; ok && !unknown {
		return b, nil
	}
	return carrier.Bundle{}, carrier.ErrNotFound
}

// Send delivers a message, unless the test has it fail or bounce (carrier.Carrier).
func (l *Link) Send(_ context.Context, o carrier.Outgoing) error {
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
	if (errors.Is(err, carrier.ErrOffline) || errors.Is(err, carrier.ErrUnconfirmed)) && l.reconnects() {
		go l.Reconnect() //nolint:gosec // the link comes up again when the call is long over
	}
	if lost || back {
		return err
	}
	m := l.arriving(o)
	l.hub.mu.Lock()
	if l.hub.Tamper != nil {
		m = l.hub.Tamper(o.To, m)
	}
	l.hub.mu.Unlock()
	l.hub.Deliver(o.To, m)
	return err
}

// Reconnect tells the handler that a link is up again.
func (l *Link) Reconnect() {
	<-time.After(10 * time.Millisecond)
	l.mu.Lock()
	h := l.handler
	l.mu.Unlock()
	_ = h.Receive(context.Background(), []carrier.Event{carrier.Connected{}})
}

// Refuse notes what a client is told (carrier.Carrier).
func (l *Link) Refuse(_ context.Context, to phone.Number, r carrier.Refusal) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refusals = append(l.refusals, Refusal{to, r})
	return nil
}

// SendReceipt delivers receipts (carrier.Carrier).
func (l *Link) SendReceipt(_ context.Context, to phone.Number, id string, kinds ...carrier.ReceiptKind) error {
	l.hub.mu.Lock()
	muted := l.hub.Muted
	l.hub.mu.Unlock()
	if muted {
		return nil
	}
	for _, kind := range kinds {
		l.hub.Deliver(to, carrier.Receipt{From: l.own, ID: id, Kind: kind})
	}
	return nil
}

// SendTyping notes what is shown (carrier.Carrier).
func (l *Link) SendTyping(_ context.Context, _ phone.Number, composing bool) error {
	l.hub.mu.Lock()
	defer l.hub.mu.Unlock()
	l.hub.typing = append(l.hub.typing, composing)
	return nil
}

// arriving is what is sent, as it arrives.
func (l *Link) arriving(o carrier.Outgoing) carrier.Message {
	return carrier.Message{ID: o.ID, From: l.own, Resource: "phone", Envelope: o.Envelope, Time: time.Now(), WantsReceipt: o.Receipts, WantsRead: o.Receipts}
}

// errBusy is what a publication fails with.
var errBusy = errors.New("internal server error, for the time being")

// published counts a publication and fails while the link is busy.
func (l *Link) published() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy > 0 {
		l.busy--
		return errBusy
	}
	return nil
}

// reconnects says whether links come up again by themselves.
func (l *Link) reconnects() bool {
	l.hub.mu.Lock()
	defer l.hub.mu.Unlock()
	return l.hub.Reconnects
}
