package sqlite_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"testing"

	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
	"github.com/relaykeep/relaykeep/relay/store/internal/sqlite"
)

var errRefused = errors.New("refused")

// group counts what the engine tells it. With fail set, its own statement fails.
type group struct {
	fail  error
	ended []error
}

func (g *group) Commit(tx engine.Tx) error {
	if g.fail != nil {
		return g.fail
	}
	return put(tx, "group")
}

func (g *group) Ended(err error) { g.ended = append(g.ended, err) }

func put(tx engine.Tx, key string) error {
	_, err := tx.Run(`INSERT INTO meta (key, value) VALUES (?, x'00') ON CONFLICT (key) DO NOTHING`, key)
	return err
}

func open(t *testing.T, g engine.Group) *sqlite.DB {
	t.Helper()
	db, err := sqlite.Open(sqlite.Files{Dir: t.TempDir(), Owner: [16]byte{1}}, g)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// keys returns the rows that are durable, but for the owner's.
func keys(t *testing.T, db *sqlite.DB) (found []string) {
	t.Helper()
	err := db.View(t.Context(), func(tx engine.Tx) error {
		return tx.Rows(`SELECT key FROM meta WHERE key <> 'store' ORDER BY key`, func(row []driver.Value) error {
			key, _ := row[0].(string)
			found = append(found, key)
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestChange_ErrorUndoesItAloneAndGroupCommits(t *testing.T) {
	g := new(group)
	db := open(t, g)
	kept := 0
	begin := func(key string, err error) func() error {
		return db.Begin(t.Context(), engine.Change{
			Do:   func(tx engine.Tx) error { return errors.Join(put(tx, key), err) },
			Kept: func() { kept++ },
		})
	}
	good, bad := begin("good", nil), begin("bad", errRefused)
	if err := good(); err != nil {
		t.Fatal(err)
	}
	if err := bad(); !errors.Is(err, errRefused) {
		t.Fatalf("the refused change returned %v", err)
	}
	if found := keys(t, db); len(found) != 2 || found[0] != "good" || found[1] != "group" {
		t.Errorf("durable are %q", found)
	}
	if kept != 1 {
		t.Errorf("%d changes were said to be kept", kept)
	}
}

func TestGroup_FailedCommitUndoesAllAndIsTold(t *testing.T) {
	g := &group{fail: errRefused}
	db := open(t, g)
	err := db.Begin(t.Context(), engine.Change{
		Do:   func(tx engine.Tx) error { return put(tx, "good") },
		Kept: func() {},
	})()
	if !errors.Is(err, errRefused) {
		t.Fatalf("the change returned %v", err)
	}
	if found := keys(t, db); len(found) != 0 {
		t.Errorf("durable are %q", found)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if len(g.ended) != 1 || !errors.Is(g.ended[0], errRefused) {
		t.Errorf("the group was told %v", g.ended)
	}
}

func TestView_CannotWrite(t *testing.T) {
	db := open(t, new(group))
	err := db.View(t.Context(), func(tx engine.Tx) error { return put(tx, "good") })
	if !errors.Is(err, engine.ErrReadOnly) {
		t.Errorf("writing in a view returned %v", err)
	}
}

func TestChange_ContextEndsBeforeItBegins(t *testing.T) {
	db := open(t, new(group))
	running, release := make(chan struct{}), make(chan struct{})
	first := db.Begin(t.Context(), engine.Change{
		Do:   func(engine.Tx) error { close(running); <-release; return nil },
		Kept: func() {},
	})
	<-running
	ctx, cancel := context.WithCancel(t.Context())
	ran := false
	second := db.Begin(ctx, engine.Change{Do: func(engine.Tx) error { ran = true; return nil }, Kept: func() {}})
	cancel()
	if err := second(); !errors.Is(err, context.Canceled) {
		t.Errorf("the change whose context ended returned %v", err)
	}
	close(release)
	if err := first(); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if ran {
		t.Error("a change ran after its caller gave up")
	}
}
