package store_test

import (
	"context"
	"encoding/base64"
	"errors"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/seal/sealtest"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/test/services/postgres"
)

// erase makes the first n data keys of a vault unreadable for good.
func erase(w *sealtest.Wrapper, n int) { w.Erase(w.Names()[:n]...) }

// world is one relay's store with its vault and clock.
type world struct {
	t    *testing.T
	dir  string
	id   [16]byte
	vw   *sealtest.Wrapper
	own  *sealtest.Wrapper // of the settings
	now  time.Time
	keys *seal.Keyring
	// server is where the store is instead of in dir; nil for SQLite.
	server *postgres.Database
	*store.Store
}

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newWorld(t *testing.T) *world {
	t.Helper()
	w := newPlace(t)
	w.open()
	return w
}

// newPlace is a world without a store.
func newPlace(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), id: [16]byte{1, 2, 3}, vw: sealtest.New(), own: sealtest.New(), now: start}
	if onServer != nil {
		d := onServer.LendDatabaseT(t)
		w.dir, w.server = "", &d
	}
	return w
}

// options are what opens the store where it is.
func (w *world) options(opts ...store.Option) []store.Option {
	if w.server == nil {
		return opts
	}
	return append(opts, store.OnServer(store.Server{
		Address: w.server.Address, Database: w.server.Name, CA: w.server.CA,
		Login: func(context.Context) (string, string, error) { return w.server.Name, w.server.Password, nil },
	}))
}

func (w *world) open(opts ...store.Option) {
	w.t.Helper()
	s, err := w.tryOpen(opts...)
	if err != nil {
		w.t.Fatalf("opening the store: %v", err)
	}
	w.Store = s
	w.t.Cleanup(func() { _ = s.Close() })
}

func (w *world) tryOpen(opts ...store.Option) (*store.Store, error) {
	w.keys = seal.New(w.vw, seal.Period(30*24*time.Hour), func() time.Time { return w.now })
	return store.Open(w.t.Context(), w.dir, w.id, w.keys, w.options(append(opts, store.SettingsKey(w.own))...)...)
}

func (w *world) reopen() {
	w.t.Helper()
	w.close()
	w.open(store.MustExist())
}

func (w *world) close() {
	w.t.Helper()
	if err := w.Close(); err != nil {
		w.t.Fatalf("closing the store: %v", err)
	}
	w.keys.Close()
}

// pass lets time go by and the relay do what it does every minute.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	w.now = w.now.Add(d)
	if err := w.Advance(w.t.Context()); err != nil {
		w.t.Fatalf("advancing: %v", err)
	}
}

func (w *world) update(fn func(*store.Tx) error) {
	w.t.Helper()
	if err := w.Update(w.t.Context(), fn); err != nil {
		w.t.Fatalf("update: %v", err)
	}
}

func (w *world) view(fn func(*store.Tx) error) {
	w.t.Helper()
	if err := w.View(w.t.Context(), fn); err != nil {
		w.t.Fatalf("view: %v", err)
	}
}

func number(t *testing.T, s string) phone.Number {
	t.Helper()
	n, err := phone.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// customer makes a customer.
func (w *world) customer(e164 string) store.CustomerID {
	w.t.Helper()
	c := store.Customer{Number: number(w.t, e164), Name: "Ada", LastInbound: w.now}
	w.update(func(t *store.Tx) error { return t.PutCustomer(&c) })
	return c.ID
}

// message writes an inbound message and returns its ID.
func (w *world) message(c store.CustomerID, body string) string {
	w.t.Helper()
	m := store.Message{
		ID: store.NewMessageID(), Direction: store.Inbound, Customer: c, Type: "text", Body: []byte(body),
		CarrierID: base64.StdEncoding.EncodeToString([]byte(body)), State: "received", Opaque: "ticket 7", Created: w.now,
	}
	w.update(func(t *store.Tx) error { return t.PutMessage(m) })
	return m.ID
}

func wantIs(t *testing.T, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("error is %v, want %v", err, target)
	}
}
