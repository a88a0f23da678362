package store

import (
	"database/sql/driver"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
	"github.com/relaykeep/relaykeep/relay/store/internal/sqlite"
)

// Neither sorting nor others' rows: what is read of a long queue costs what is taken.
func TestJobs_IndexLeadsToThemInOrder(t *testing.T) {
	db, err := sqlite.Open(sqlite.Files{Dir: t.TempDir()}, group{new(shared)})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for name, q := range map[string]struct{ text, plan string }{
		"of a queue":                {textDue, "jobs_due (queue=? AND not_before>? AND not_before<?)"},
		"of a customer in a queue":  {textDueOf, "jobs_lane (customer=? AND queue=? AND not_before>? AND not_before<?)"},
		"counted, of a customer":    {textQueuedFor, "INDEX jobs_lane (customer=? AND queue=?)"},
		"counted, with the first":   {textQueued, "COVERING INDEX jobs_due (queue=?)"},
		"of a customer who is gone": {"DELETE FROM customers WHERE id = ?", "jobs_lane (customer=?)"},
	} {
		args := make([]driver.Value, strings.Count(q.text, "?"))
		for i := range args {
			args[i] = int64(1)
		}
		var steps []string
		err := db.View(t.Context(), func(tx engine.Tx) error {
			return tx.Rows("EXPLAIN QUERY PLAN "+q.text, func(r []driver.Value) error {
				step, err := row(r).text(3)
				if strings.Contains(step, "jobs") || strings.Contains(step, "TEMP") {
					steps = append(steps, step)
				}
				return err
			}, args...)
		})
		if err != nil || len(steps) != 1 || !strings.HasSuffix(steps[0], q.plan) {
			t.Errorf("jobs %s are found by %q, want %q; error %v", name, steps, q.plan, err)
		}
	}
}
