package xmpp

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/xmpptest"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/test/await"
)

const password = "correct horse"

// config is an account's at a server, registered.
func config(t testing.TB, s server, account string) Config {
	t.Helper()
	domain, addr, ca := s.Where()
	return Config{
		Login:        Login{Account: xmpptest.Number(t, account), Domain: domain, Address: addr, CABundle: ca, Password: password},
		Registration: Open,
		IQTimeout:    10 * time.Second, MinBackoff: 20 * time.Millisecond, MaxBackoff: 200 * time.Millisecond,
	}
}

// recorder is a Handler that keeps what it was told. It can be told to fail.
type recorder struct {
	mu        sync.Mutex
	messages  []carrier.Message
	receipts  []carrier.Receipt
	bounced   []carrier.Bounce
	devices   map[phone.Number][]carrier.DeviceID
	own       [][]carrier.DeviceID
	own2      [][]carrier.DeviceID // in OMEMO2
	unread    []carrier.Unread
	connected []bool
	typing    []bool
	reactions []carrier.Reaction
	taken     []carrier.Retraction
	answers   []carrier.ContactAnswer
	caughtUp  []int                       // how many messages had come whenever it had caught up
	fail      func(carrier.Message) error // nil: take everything
}

func (r *recorder) lock() func() { r.mu.Lock(); return r.mu.Unlock }

// Receive implements carrier.Handler.
func (r *recorder) Receive(ctx context.Context, events []carrier.Event) error {
	return carrier.OneByOne(r.receive).Receive(ctx, events)
}

// receive keeps one event.
func (r *recorder) receive(_ context.Context, ev carrier.Event) error {
	defer r.lock()()
	switch ev := ev.(type) {
	case carrier.Message:
		if r.fail != nil {
			if err := r.fail(ev); err != nil {
				return err
			}
		}
		r.messages = append(r.messages, ev)
	case carrier.Receipt:
		r.receipts = append(r.receipts, ev)
	case carrier.Bounce:
		r.bounced = append(r.bounced, ev)
	case carrier.DeviceList:
		if r.devices == nil {
			r.devices = map[phone.Number][]carrier.DeviceID{}
		}
		r.devices[ev.Peer] = ev.Devices
	case carrier.OwnDeviceList:
		if ev.Format == carrier.OMEMO2 {
			r.own2 = append(r.own2, ev.Devices)
		} else {
			r.own = append(r.own, ev.Devices)
		}
	case carrier.Unread:
		r.unread = append(r.unread, ev)
	case carrier.Connected:
		r.connected = append(r.connected, ev.Resumed)
	case carrier.CaughtUp:
		r.caughtUp = append(r.caughtUp, len(r.messages))
	case carrier.ContactAnswer:
		r.answers = append(r.answers, ev)
	case carrier.Reaction:
		r.reactions = append(r.reactions, ev)
	case carrier.Retraction:
		r.taken = append(r.taken, ev)
	case carrier.Typing:
		r.typing = append(r.typing, ev.Composing)
	}
	return nil
}

// node is a carrier that runs, and what it received.
type node struct {
	*Carrier
	*recorder
	number  phone.Number
	handler carrier.Handler // nil: the recorder
	stop    func()
}

// run runs a carrier until the test ends.
func run(t testing.TB, c Config) *node {
	t.Helper()
	k, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	n := &node{Carrier: k, recorder: &recorder{}, number: c.Account}
	n.start(t)
	return n
}

func (n *node) start(t testing.TB) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	h := n.handler
	if h == nil {
		h = n.recorder
	}
	go func() {
		defer close(done)
		_ = n.Run(ctx, h)
	}()
	n.stop = func() { cancel(); <-done }
	t.Cleanup(n.stop)
}

// online runs a carrier and waits for its link.
func online(t testing.TB, c Config) *node {
	t.Helper()
	n := run(t, c)
	n.wait(t, "link", func() bool { return len(n.connected) > 0 })
	return n
}

// PublishDevices is the Carrier's, but insists.
func (n *node) PublishDevices(ctx context.Context, f carrier.Format, devices []carrier.DeviceID) error {
	return whileOthersPublish(ctx, func() error { return n.Carrier.PublishDevices(ctx, f, devices) })
}

// PublishBundle is the Carrier's, but insists.
func (n *node) PublishBundle(ctx context.Context, d carrier.DeviceID, b carrier.Bundle) error {
	return whileOthersPublish(ctx, func() error { return n.Carrier.PublishBundle(ctx, d, b) })
}

// whileOthersPublish tries again where ejabberd says that there is no such item, as it does
// while others publish: tests share one.
func whileOthersPublish(ctx context.Context, publish func() error) error {
	for range 100 {
		if err := publish(); !stanza.IsCondition(err, "item-not-found") {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return publish()
}

// wait polls until is, called with the recorder locked, holds.
func (n *node) wait(t testing.TB, what string, is func() bool) {
	t.Helper()
	eventually(t, what, func() bool { defer n.lock()(); return is() })
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(await.Patience)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("timed out waiting for: %s", what)
		}
		select {
		case <-t.Context().Done():
			t.Fatal("test ended")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// send sends and wants it acknowledged.
func (n *node) send(t testing.TB, to *node, i int) {
	t.Helper()
	err := n.Send(t.Context(), carrier.Outgoing{
		ID: fmt.Sprint("m", i), To: to.number, Envelope: xmpptest.Envelope(i), Receipts: true,
	})
	if err != nil {
		t.Fatalf("sending message %d: %v", i, err)
	}
}
