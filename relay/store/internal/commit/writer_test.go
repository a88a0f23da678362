package commit_test

import (
	"database/sql/driver"
	"errors"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relaykeep/relaykeep/relay/store/internal/commit"
	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
)

var errAway = errors.New("away")

// away is a database that begins no transaction.
type away struct{ commit.Database }

func (away) Transact(func() error) error { return errAway }

type group struct{ ended []error }

func (*group) Commit(engine.Tx) error { return nil }

func (g *group) Ended(err error) { g.ended = append(g.ended, err) }

// What engines do with changes is tested with each of them: see enginetest.
func TestWriter_SaysThatATransactionCouldNotBegin(t *testing.T) {
	g := new(group)
	w := commit.Start(away{}, g)
	for range 3 {
		err := w.Begin(t.Context(), engine.Change{
			Do:   func(engine.Tx) error { t.Error("it ran"); return nil },
			Kept: func() { t.Error("it was kept") },
		})()
		if !errors.Is(err, errAway) {
			t.Errorf("the change returned %v", err)
		}
	}
	w.Stop()
	if len(g.ended) != 3 || !errors.Is(g.ended[0], errAway) {
		t.Errorf("the group was told %v", g.ended)
	}
}

// ledger is a database that notes what is written in which transaction.
type ledger struct {
	open []string

	mu     sync.Mutex // guards groups
	groups [][]string
}

// commits returns what was written in each commit.
func (l *ledger) commits() [][]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.groups)
}

func (l *ledger) Transact(fn func() error) error {
	l.open = nil
	err := fn()
	if err == nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.groups = append(l.groups, l.open)
	}
	return err
}

func (l *ledger) Mark() (commit.Tx, error) { return entry{l}, nil }
func (l *ledger) Keep() error              { return nil }
func (l *ledger) Undo() error              { return nil }
func (l *ledger) Whole() engine.Tx         { return nil }
func (l *ledger) Enough() bool             { return false }

// entry is a change's place in a ledger.
type entry struct{ *ledger }

func (e entry) Run(text string, _ ...driver.Value) (int64, error) {
	e.open = append(e.open, text)
	return 1, nil
}

func (e entry) Write(text string, _ ...driver.Value) error {
	_, err := e.Run(text)
	return err
}
func (entry) Rows(string, func([]driver.Value) error, ...driver.Value) error { return nil }
func (entry) Fresh()                                                         {}
func (entry) Usage() (volume, held int64)                                    { return 0, 0 }
func (entry) Admit(bool) error                                               { return nil }

func TestLateChange_SharesTheNextCommitOrHasItsOwnSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(ledger)
		w := commit.Start(l, new(group))
		told := make(chan string, 8)
		begin := func(name string, late bool) {
			wait := w.Begin(t.Context(), engine.Change{
				Do:   func(tx engine.Tx) error { return tx.Write(name) },
				Kept: func() {}, Late: late,
			})
			go func() {
				if err := wait(); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				told <- name
			}()
			synctest.Wait()
		}
		begin("late", true)
		begin("later", true)
		if len(l.commits()) != 0 {
			t.Errorf("late changes did not wait for others: %v", l.commits())
		}
		if want := []string{"late", "later"}; !slices.Equal(l.open, want) {
			t.Errorf("%v are in the transaction that waits, want %v", l.open, want)
		}
		begin("now", false)
		begin("alone", true)
		if want := [][]string{{"late", "later", "now"}}; !reflect.DeepEqual(l.commits(), want) || len(told) != 3 {
			t.Errorf("the commits were %v, want %v; %d are told", l.commits(), want, len(told))
		}
		<-time.After(10 * time.Millisecond)
		synctest.Wait()
		if len(l.commits()) != 2 || len(told) != 4 {
			t.Errorf("a late change waits for good: %v", l.commits())
		}
		begin("last", true)
		w.Stop()
		synctest.Wait()
		if want := []string{"last"}; len(l.commits()) != 3 || !reflect.DeepEqual(l.commits()[2], want) {
			t.Errorf("stopping did not write a late change: %v", l.commits())
		}
	})
}
