package enginetest

import (
	"database/sql/driver"
	"errors"
	"sync"
	"testing"

	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
)

// Place is where one database may be.
type Place interface {
	// Open opens or creates the database.
	Open(owner [16]byte, mustExist bool, g engine.Group) (engine.Database, error)
	// Empty says that nothing has been made there.
	Empty() bool
	// Strange puts the database of another program there.
	Strange()
	// Version sets the version that the database says it has.
	Version(int)
	// Earlier makes the database as a build with so many migrations left it.
	Earlier(owner [16]byte, migrations int)
	// Migrations is how many there are.
	Migrations() int
	// Columns lists the tables with their columns, but for what is the engine's own.
	Columns() []string
}

// Run runs all tests with places that newPlace makes.
func Run(t *testing.T, newPlace func(*testing.T) Place) {
	for name, test := range map[string]func(*world){
		"Change":  changes,
		"Group":   groups,
		"View":    views,
		"Rows":    queries,
		"Open":    opening,
		"Close":   closing,
		"Room":    room,
		"Migrate": migrating,
	} {
		t.Run(name, func(t *testing.T) { test(&world{T: t, newPlace: newPlace}) })
	}
}

// world is one test.
type world struct {
	*testing.T
	newPlace func(*testing.T) Place
	Place
	group *group
	db    engine.Database
}

var owner = [16]byte{1, 2, 3}

var errRefused = errors.New("refused")

// run runs a test on a database of its own.
func (w *world) run(name string, test func(*world)) {
	w.Run(name, func(t *testing.T) {
		inner := &world{T: t, newPlace: w.newPlace, Place: w.newPlace(t), group: new(group)}
		inner.open()
		t.Cleanup(func() { inner.close() })
		test(inner)
	})
}

func (w *world) open() {
	w.Helper()
	db, err := w.Open(owner, false, w.group)
	if err != nil {
		w.Fatalf("opening: %v", err)
	}
	w.db = db
}

func (w *world) close() {
	if w.db != nil {
		if err := w.db.Close(); err != nil {
			w.Errorf("closing: %v", err)
		}
	}
	w.db = nil
}

func (w *world) reopen() {
	w.Helper()
	w.close()
	w.open()
}

// begin begins a change.
func (w *world) begin(do func(engine.Tx) error) (wait func() error) {
	return w.db.Begin(w.Context(), engine.Change{Do: do, Kept: func() {}})
}

func (w *world) change(do func(engine.Tx) error) error { return w.begin(do)() }

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) wantIs(err, target error) {
	w.Helper()
	if !errors.Is(err, target) {
		w.Errorf("the error is %v, want %v", err, target)
	}
}

// put writes a key.
func put(tx engine.Tx, key string) error {
	_, err := tx.Run(`INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`, key, []byte(key))
	return err
}

// keys returns those that a transaction sees, in order.
func keys(tx engine.Tx) (found []string, err error) {
	err = tx.Rows(`SELECT key FROM meta WHERE key <> 'store' ORDER BY key`, func(row []driver.Value) error {
		key, _ := row[0].(string)
		found = append(found, key)
		return nil
	})
	return found, err
}

// durable returns the keys that are committed.
func (w *world) durable() (found []string) {
	w.Helper()
	w.must(w.db.View(w.Context(), func(tx engine.Tx) (err error) {
		found, err = keys(tx)
		return err
	}))
	return found
}

// group counts what the engine tells it.
type group struct {
	mu     sync.Mutex // guards the following fields
	writes bool       // Commit writes the key "group"
	fail   error      // of Commit
	ended  []error
}

func (g *group) Commit(tx engine.Tx) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.writes {
		if err := tx.Write(`INSERT INTO meta (key, value) VALUES ('group', ?) ON CONFLICT (key) DO NOTHING`, []byte{1}); err != nil {
			return err
		}
	}
	return g.fail
}

func (g *group) Ended(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ended = append(g.ended, err)
}

// write has Commit write from now on, and then fail, unless fail is nil.
func (g *group) write(fail error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.writes, g.fail = true, fail
}

func (g *group) outcomes() []error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]error(nil), g.ended...)
}
