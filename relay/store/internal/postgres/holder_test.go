package postgres_test

import (
	"testing"

	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
	"github.com/relaykeep/relaykeep/relay/store/internal/postgres"
)

func TestWatch_NamesWhoHasTheDatabaseOpen(t *testing.T) {
	f := newPlace(t, shared(t)).config()
	w := postgres.NewWatch(f)
	defer w.Close()
	want := func(name string, held bool) {
		t.Helper()
		if n, h, err := w.Holder(t.Context()); n != name || h != held || err != nil {
			t.Errorf("it says %q, %v, %v, want %q, %v", n, h, err, name, held)
		}
	}
	want("", false) // there is no store yet
	f.Name = "192.0.2.1:8443"
	first := open(t, f, new(hook))
	want("192.0.2.1:8443", true)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	want("", false)
	f.Name = "[2001:db8:1234:1234:1234:1234:1234:1234]:8443" // the longest
	open(t, f, new(hook))
	want(f.Name, true)
}

// A process of a newer build must not change the tables beneath one that writes.
func TestMigrations_WaitUntilNobodyWrites(t *testing.T) {
	p := newPlace(t, shared(t))
	f := p.config()
	f.Owner = [16]byte{1}
	if err := postgres.MakeEarlier(t.Context(), f, 1); err != nil {
		t.Fatal(err)
	}
	leave, err := postgres.Hold(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	version := func() string { return p.query(`SELECT version FROM relaykeep.engine`)[0][0] }
	_, err = postgres.Open(t.Context(), f, new(hook))
	wantIs(t, err, engine.ErrLocked)
	if v := version(); v != "1" {
		t.Errorf("the schema has version %s", v)
	}
	leave()
	open(t, f, new(hook))
	if v := version(); v == "1" {
		t.Error("the schema was not brought up to date")
	}
}
