package message_test

import (
	"context"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/cloudapi"
	"github.com/relaykeep/relaykeep/relay/ledger"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/proof"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/seal/sealtest"
	"github.com/relaykeep/relaykeep/relay/signal"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// route is a relay for BenchmarkRoute, wired as package serve does it, with the carrier in memory.
type route struct {
	api       http.Handler
	messages  *message.Service
	store     *store.Store
	link      *routeLink
	customers []*writer
	waiting   []carrier.Event // what customers wrote and deliver delivers
	written   int
	late      atomic.Int64 // how late the service's clock is
}

// routeKind is what a business may have otherwise.
type routeKind struct {
	store      []store.Option
	maxUpdates int            // of a webhook; 0 for one
	log        *ledger.Ledger // what counts; nil for nothing. Its store is set
	days       int            // since it began, each with a data key
}

func newRoute(b *testing.B, receiver *httptest.Server) *route { return routeKind{}.open(b, receiver) }

func (k routeKind) open(b *testing.B, receiver *httptest.Server) *route {
	period := seal.Period(retention)
	ago := time.Duration(k.days)*period + period/2
	ring := seal.New(sealtest.New(), period, func() time.Time { return time.Now().Add(-ago) })
	s, err := store.Open(b.Context(), b.TempDir(), [16]byte{1}, ring, k.store...)
	check(b, err)
	for ; ago > period; ago -= period {
		check(b, s.Advance(b.Context()))
	}
	check(b, s.Advance(b.Context()))
	ago = 0
	pair, err := signal.GenerateIdentityKeyPair()
	check(b, err)
	business := number(b, "+4930222222")
	r := &route{store: s, link: &routeLink{published: make(chan struct{})}}
	var note func(context.Context, string, proof.Kind, string)
	var delivered func(webhook.Outcome, time.Duration)
	if k.log != nil {
		k.log.Store = s
		note = func(_ context.Context, who string, kind proof.Kind, result string) { k.log.Count(who, kind, result) }
		delivered = func(webhook.Outcome, time.Duration) { k.log.Count(proof.Relay, proof.Webhook, proof.OK) }
	}
	var deliveries *queue.Runner
	r.messages = message.New(message.Options{
		Store: s, Carrier: r.link, Retention: retention,
		Account: &omemo.Account{Local: signal.Local{Identity: pair, RegistrationID: 7}, Device: 4711},
		Webhook: webhook.Account{BusinessAccountID: "1", PhoneNumberID: "106540352242922", Phone: business},
		Now:     func() time.Time { return time.Now().Add(-time.Duration(r.late.Load())) },
	})
	backend := message.Queue(s, message.QueueWebhook)
	deliverer, err := webhook.New(webhook.Options{
		Receiver: webhook.Receiver{
			URL: receiver.URL, CABundle: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: receiver.Certificate().Raw})),
			Credentials: webhook.Credentials{Secret: []byte("secret"), VerifyToken: []byte("token")},
		},
		Finish: r.messages.Taken, Recovered: func() { deliveries.Hurry() }, Retention: retention, MaxUpdates: k.maxUpdates, Observe: delivered,
	})
	check(b, err)
	deliveries = queue.New(queue.Options{
		Name: message.QueueWebhook, Backend: backend, Batch: r.messages.Deliver(deliverer.Work), MaxBatch: k.maxUpdates,
		Workers: webhook.Workers(max(1, k.maxUpdates)), Open: deliverer.Verified,
	})
	now := time.Now()
	var mu sync.Mutex
	r.api = cloudapi.New(cloudapi.Options{
		Service: routeService{messages: r.messages}, Token: "token", Throughput: 1 << 20, Note: note,
		Number: cloudapi.Number{ID: "106540352242922", Phone: business},
		Now: func() time.Time { // no rate limit is reached
			mu.Lock()
			defer mu.Unlock()
			now = now.Add(time.Hour)
			return now
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { _ = r.messages.Run(ctx) })
	group.Go(func() { _ = deliverer.Run(ctx) })
	group.Go(func() { _ = deliveries.Run(ctx) })
	b.Cleanup(func() {
		cancel()
		group.Wait()
		check(b, s.Close())
		ring.Close()
	})
	check(b, r.messages.Receive(ctx, []carrier.Event{carrier.Connected{}, carrier.CaughtUp{}}))
	<-r.link.published
	for i := range routeCustomers {
		r.customers = append(r.customers, newWriter(b, routePhone(b, i), business, r.link.bundle))
	}
	return r
}

// seal has a customer write n texts, which wait for deliver.
func (r *route) seal(b *testing.B, customer, n int) {
	for range n {
		r.written++
		w := r.customers[customer]
		e, err := w.account.Seal(w, carrier.Legacy, w.peer, []carrier.DeviceID{4711}, omemo.Text([]byte(routeText)), time.Now())
		check(b, err)
		r.waiting = append(r.waiting, carrier.Message{ID: fmt.Sprint("m", r.written), From: w.number, Envelope: e, Time: time.Now(), WantsReceipt: true})
	}
}

// deliver delivers what customers wrote, so many at once.
func (r *route) deliver(b *testing.B, together int) {
	for len(r.waiting) > 0 {
		n := min(together, len(r.waiting))
		check(b, r.messages.Receive(b.Context(), r.waiting[:n]))
		r.waiting = r.waiting[n:]
	}
}

// settle waits until the relay has nothing to do, and has customers read its answers, with which it
// completes their sessions.
func (r *route) settle(b *testing.B) {
	b.Helper()
	for _, q := range []string{message.QueueOutbox, message.QueueWebhook} {
		for {
			n, err := message.Queue(r.store, q).Length(b.Context())
			check(b, err)
			if n == 0 {
				break
			}
			<-time.After(10 * time.Millisecond)
		}
	}
	r.link.answered.Store(true)
	for _, w := range r.customers {
		e, ok := r.link.answers.Load(w.number)
		if !ok {
			b.Fatal("a session was not completed")
		}
		_, err := w.account.Open(w, carrier.Message{From: w.peer, Envelope: e.(carrier.Envelope)}, time.Now())
		check(b, err)
	}
}

// routeService accepts texts as package serve has it.
type routeService struct {
	cloudapi.Service
	messages *message.Service
}

func (s routeService) AcceptText(ctx context.Context, t cloudapi.Text) (string, error) {
	return s.messages.AcceptText(ctx, message.Text{To: t.To, Body: t.Body})
}

// routeLink is a carrier that takes everything at once and delivers nothing.
type routeLink struct {
	once      sync.Once
	published chan struct{} // closed when there is a bundle
	bundle    carrier.Bundle
	answers   sync.Map    // the first envelope to each customer
	answered  atomic.Bool // all have it
}

func (l *routeLink) PublishBundle(_ context.Context, _ carrier.DeviceID, b carrier.Bundle) error {
	if b.Format == carrier.Legacy {
		l.once.Do(func() {
			l.bundle = b
			close(l.published)
		})
	}
	return nil
}

func (*routeLink) PublishDevices(context.Context, carrier.Format, []carrier.DeviceID) error {
	return nil
}

func (*routeLink) Devices(_ context.Context, _ phone.Number, f carrier.Format) ([]carrier.DeviceID, error) {
	if f == carrier.Legacy {
		return []carrier.DeviceID{1}, nil
	}
	return nil, carrier.ErrNotFound
}

func (*routeLink) Bundle(context.Context, phone.Number, carrier.DeviceID, carrier.Format) (carrier.Bundle, error) {
	return carrier.Bundle{}, carrier.ErrNotFound
}

func (*routeLink) Contact(context.Context, phone.Number, bool) (carrier.ContactState, error) {
	return carrier.ContactState(0), nil
}

func (l *routeLink) Send(_ context.Context, o carrier.Outgoing) error {
	if !l.answered.Load() {
		l.answers.Store(o.To, o.Envelope)
	}
	return nil
}

func (*routeLink) SendReceipts(context.Context, ...carrier.OutgoingReceipt) error {
	return nil
}
func (*routeLink) SendReaction(context.Context, carrier.OutgoingReaction) error { return nil }
func (*routeLink) Nickname(context.Context, phone.Number) (string, error) {
	return "", carrier.ErrNotFound
}
func (*routeLink) SendTyping(context.Context, phone.Number, bool) error        { return nil }
func (*routeLink) Refuse(context.Context, phone.Number, carrier.Refusal) error { return nil }

// writer is a customer who only writes. It is its account's view of its one session.
type writer struct {
	number, peer phone.Number
	account      *omemo.Account
	record       *signal.Record
	identity     signal.IdentityKey
	known        bool
	signal.PreKeySource
}

func newWriter(b *testing.B, n, peer phone.Number, bundle carrier.Bundle) *writer {
	pair, err := signal.GenerateIdentityKeyPair()
	check(b, err)
	w := &writer{number: n, peer: peer, account: &omemo.Account{Local: signal.Local{Identity: pair, RegistrationID: 7}, Device: 1}}
	bundle.PreKeys = nil // there are fewer than customers
	_, err = w.account.Start(w, peer, 4711, bundle, time.Now())
	check(b, err)
	return w
}

func (w *writer) Record(phone.Number, carrier.DeviceID, carrier.Format) (*signal.Record, error) {
	return w.record, nil
}

func (w *writer) PutRecord(_ phone.Number, _ carrier.DeviceID, _ carrier.Format, r *signal.Record) error {
	w.record = r
	return nil
}

func (w *writer) Identity(phone.Number, carrier.DeviceID) (signal.IdentityKey, bool, error) {
	return w.identity, w.known, nil
}

func (w *writer) PutIdentity(_ phone.Number, _ carrier.DeviceID, _ carrier.Format, key signal.IdentityKey) error {
	w.identity, w.known = key, true
	return nil
}

func (w *writer) UsePreKey(uint32) error   { return nil }
func (w *writer) Begin(signal.Begun) error { return nil }
