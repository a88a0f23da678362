package message_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/carriertest"
	"github.com/relaykeep/relaykeep/relay/conduct"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/seal/sealtest"
	"github.com/relaykeep/relaykeep/relay/signal"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
)

const (
	retention = 30 * 24 * time.Hour
	domain    = "carrier.example.org"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func number(t testing.TB, s string) phone.Number {
	t.Helper()
	n, err := phone.Parse(s)
	check(t, err)
	return n
}

// What the business got in one webhook.
type (
	event = webhooktest.Update
	file  = webhooktest.File
)

// world is a business's relay with its store, on a hub with its customers.
type world struct {
	t         *testing.T
	hub       *carriertest.Hub
	dir       string
	wrapper   *sealtest.Wrapper
	account   *omemo.Account
	former    *message.FormerIdentity
	turned    bool // the account is another since the last start
	number    phone.Number
	accept    bool // messages in the clear
	clear     bool // the business's reactions
	away      bool // the receiver of webhooks; guarded by mu
	hidden    bool // customers' numbers
	noSending atomic.Bool
	noStorage bool   // content is in memory only
	mute      bool   // no notices how to switch encryption on
	notice    string // what they say; empty for the relay's own words
	limited   bool   // first contacts
	optOut    *message.OptOut
	web       *web // where files are; nil for none
	retention time.Duration
	formats   []carrier.Format // of customers that start from now on
	// wrap stands between the service and its store.
	wrap func(message.Store) message.Store
	wire func(message.Carrier) message.Carrier
	ways func(*message.Files) *message.Files

	store   *store.Store
	ring    *seal.Keyring
	carrier *carriertest.Carrier
	book    *conduct.Book
	*message.Service
	stop func()

	mu     sync.Mutex // guards the following fields
	events []event
	bodies [][]byte // of the webhooks
	secret []string // what must not be logged
	log    journal
}

// journal keeps what was logged.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

// quiet fails the test when the log holds a number or a text.
func (w *world) quiet() {
	w.t.Helper()
	for _, s := range append(w.secret, w.number.Digits()) {
		if strings.Contains(w.log.text.String(), s) {
			w.t.Errorf("the log holds a number or a text:\n%s", w.log.text.String())
		}
	}
}

// keepSecret notes a text or a number that must not be logged.
func (w *world) keepSecret(s string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.secret = append(w.secret, s)
}

// inBubble runs a test whose clock stands still while anything is under way. Such tests are not parallel: in Go 1.26 the
// race detector reports what the standard library remembers in a sync.Map, of encoding/json's types for example, when
// two bubbles come to it first.
func inBubble(t *testing.T, test func(t *testing.T, w *world)) {
	inBubbleWith(t, func(*world) {}, test)
}

// inBubbleWith prepares the relay before it starts.
func inBubbleWith(t *testing.T, prepare func(*world), test func(t *testing.T, w *world)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir)
		prepare(w)
		w.start()
		test(t, w)
		w.stop()
	})
}

func newWorld(t *testing.T, dir string) *world {
	t.Helper()
	pair, err := signal.GenerateIdentityKeyPair()
	check(t, err)
	w := &world{
		t: t, hub: carriertest.NewHub(), dir: dir, wrapper: sealtest.New(), number: number(t, "+4930222222"), retention: retention,
		account: &omemo.Account{Local: signal.Local{Identity: pair, RegistrationID: 7}, Device: 4711},
		wrap:    func(s message.Store) message.Store { return s },
		wire:    func(l message.Carrier) message.Carrier { return l },
	}
	w.hub.Reconnects = true
	return w
}

// start runs the relay as a process would, on what the one before left.
func (w *world) start() {
	w.t.Helper()
	w.ring = seal.New(w.wrapper, seal.Period(retention), time.Now)
	var err error
	var options []store.Option
	if w.noStorage {
		options = append(options, message.ContentInMemory(time.Hour))
	}
	w.store, err = store.Open(context.Background(), w.dir, [16]byte{1}, w.ring, options...)
	check(w.t, err)
	if w.turned {
		check(w.t, w.store.Update(context.Background(), func(tx *store.Tx) error {
			return message.RenewSignedPreKey(tx, w.account.Local, time.Now())
		}))
		w.turned = false
	}
	w.carrier = w.hub.Carrier(w.number)
	wrapped := w.wrap(w.store)
	backend := message.Queue(wrapped, message.QueueWebhook)
	book, err := message.OpenConduct(context.Background(), wrapped, time.Now())
	check(w.t, err)
	w.book = book
	w.Service = message.New(message.Options{
		Store: wrapped, Carrier: w.wire(w.carrier), Account: w.account, Former: w.former, Retention: w.retention, AcceptUnencrypted: w.accept, ClearMetadata: w.clear, NoStorage: w.noStorage, NoNotices: w.mute, Notice: w.notice,
		Webhook: webhook.Account{BusinessAccountID: "1", PhoneNumberID: "2", Phone: w.number, HideNumbers: w.hidden},
		Files:   w.files(), Conduct: book, OptOut: w.optOut,
		Log: slog.New(slog.NewTextHandler(&w.log, nil)),
	})
	if w.limited {
		book.SetRules(conduct.Rules{Enforce: true})
	}
	deliveries := queue.New(queue.Options{Backend: backend, Workers: 4, MaxBatch: 3, Batch: w.Deliver(func(ctx context.Context, jobs []queue.Job) []queue.Result {
		results := make([]queue.Result, len(jobs))
		for i, j := range jobs {
			var away bool
			if results[i], away = w.later(); away {
				continue
			}
			w.receive(j.Body)
			if results[i] = queue.Done(); w.Taken(ctx, j) != nil {
				results[i] = queue.Later(time.Second)
			}
		}
		return results
	})})
	if w.store.Restored() {
		check(w.t, w.Restored(context.Background(), w.store.DropRatchets))
	}
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { _ = w.Run(ctx) })
	group.Go(func() { _ = deliveries.Run(ctx) })
	group.Go(func() { _ = w.carrier.Run(ctx, w.Service) })
	w.stop = sync.OnceFunc(func() {
		cancel()
		group.Wait()
		check(w.t, w.store.Close())
		w.ring.Close()
		w.quiet()
	})
	synctest.Wait()
}

// receive is the business's end of the webhooks.
func (w *world) receive(body []byte) {
	updates, err := webhooktest.Decode(body)
	if err != nil {
		w.t.Error(err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, updates...)
	w.bodies = append(w.bodies, body)
}

// elapse lets time pass on the clock of a synctest bubble.
func elapse(d time.Duration) { <-time.After(d) }

// settle waits until nothing is under way.
func (w *world) settle() {
	elapse(5 * time.Second) // of the bubble's clock: publications and retries
	synctest.Wait()
}

// take waits until nothing is under way and returns what the business got since it
// last asked.
func (w *world) take() []event {
	w.t.Helper()
	w.settle()
	w.mu.Lock()
	defer w.mu.Unlock()
	events := w.events
	w.events = nil
	return events
}

// tamper changes messages on their way; nil ends it.
func (w *world) tamper(f func(carrier.Message) carrier.Message) {
	w.hub.Change(func() {
		w.hub.Tamper = nil
		if f != nil {
			w.hub.Tamper = func(_ phone.Number, m carrier.Message) carrier.Message { return f(m) }
		}
	})
}

// says has the business send a text.
func (w *world) says(to phone.Number, text string) string {
	w.t.Helper()
	w.keepSecret(text)
	id, err := w.AcceptText(context.Background(), message.Text{To: to, Body: text, Opaque: "opaque"})
	check(w.t, err)
	return id
}

// statuses returns the statuses of a message in the order in which they came.
func statuses(events []event, id string) []string {
	var out []string
	for _, e := range events {
		if e.ID == id && e.Status != "" {
			out = append(out, e.Status)
		}
	}
	return out
}

// texts returns the texts of the messages that came.
func texts(events []event) []string {
	var out []string
	for _, e := range events {
		if e.Type == "text" {
			out = append(out, e.Text)
		}
	}
	return out
}

// person is a customer on the hub.
type person struct {
	*customer.Customer
	t       *testing.T
	world   *world
	number  phone.Number
	carrier *carriertest.Carrier
	stop    func()

	mu     sync.Mutex // guards the following fields
	events []customer.Event
	said   map[string]string // what trySay sent, by the ids that the client gave it
}

// customer makes a customer that runs until the test's end.
func (w *world) customer(dir, digits string) *person {
	w.t.Helper()
	return w.person(dir, number(w.t, digits))
}

// nameless is customer for somebody without a number.
func (w *world) nameless(dir, name string) *person {
	w.t.Helper()
	n, err := phone.ParseName(name)
	check(w.t, err)
	return w.person(dir, n)
}

func (w *world) person(dir string, n phone.Number) *person {
	w.t.Helper()
	p := &person{t: w.t, world: w, number: n, said: map[string]string{}}
	w.keepSecret(strings.TrimPrefix(n.Local(), "+"))
	state, err := customer.OpenState(dir, p.number)
	check(w.t, err)
	p.carrier = w.hub.Carrier(p.number)
	p.Customer = customer.New(customer.Options{State: state, Carrier: p.carrier, Formats: w.formats, Domain: domain, OnEvent: func(e customer.Event) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.events = append(p.events, e)
	}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	p.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			check(p.t, err)
		}
		check(p.t, state.Close())
	})
	w.t.Cleanup(p.stop)
	synctest.Wait()
	return p
}

func (p *person) says(to phone.Number, text string) string {
	p.t.Helper()
	p.world.keepSecret(text)
	id, err := p.Send(context.Background(), to, text)
	check(p.t, err)
	return id
}

// trySay sends a text that the relay's crash may keep from being sent yet: then it is
// tried again until it is.
func (p *person) trySay(to phone.Number, text string) {
	p.t.Helper()
	p.world.keepSecret(text)
	go func() {
		for {
			if id, err := p.Send(context.Background(), to, text); err == nil {
				p.mu.Lock()
				defer p.mu.Unlock()
				p.said[id] = text
				return
			}
			elapse(time.Second)
		}
	}()
}

// got returns the texts that arrived.
func (p *person) got() []string {
	var out []string
	for _, e := range p.all(customer.Received) {
		out = append(out, e.Text)
	}
	return out
}

// all returns all events of a kind.
func (p *person) all(kind customer.EventKind) []customer.Event {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []customer.Event
	for _, e := range p.events {
		if e.Kind == kind {
			out = append(out, e)
		}
	}
	return out
}

// brings has the carrier hand over events, all at once.
func (w *world) brings(events ...carrier.Event) error { return w.Receive(w.t.Context(), events) }
