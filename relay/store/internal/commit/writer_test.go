package commit_test

import (
	"errors"
	"testing"

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
