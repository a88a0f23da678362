package store

import (
	"database/sql/driver"
	"path/filepath"
	"strings"
	"testing"
)

// Neither sorting nor others' rows: what is read of a long queue costs what is taken.
func TestAnIndexLeadsToJobsInTheirOrder(t *testing.T) {
	c, err := openConn(filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if err := migrate(c, func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	for name, q := range map[string]struct{ text, plan string }{
		"of a queue":                {textDue, "jobs_due (queue=? AND not_before>? AND not_before<?)"},
		"of a customer in a queue":  {textDueOf, "jobs_lane (customer=? AND queue=? AND not_before>? AND not_before<?)"},
		"of a customer who is gone": {"DELETE FROM customers WHERE id = ?", "jobs_lane (customer=?)"},
	} {
		args := make([]driver.Value, strings.Count(q.text, "?"))
		for i := range args {
			args[i] = int64(1)
		}
		var steps []string
		err := c.rows("EXPLAIN QUERY PLAN "+q.text, func(r row) error {
			step, err := r.text(3)
			if strings.Contains(step, "jobs") || strings.Contains(step, "TEMP") {
				steps = append(steps, step)
			}
			return err
		}, args...)
		if err != nil || len(steps) != 1 || !strings.HasSuffix(steps[0], q.plan) {
			t.Errorf("jobs %s are found by %q, want %q; error %v", name, steps, q.plan, err)
		}
	}
}
