package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
	"github.com/relaykeep/relaykeep/relay/store/internal/postgres"
	server "github.com/relaykeep/relaykeep/test/services/postgres"
)

// A server's planner must not read and sort all rows of which a caller takes the first few.
func TestPlans_OnPostgreSQLFollowAnIndex(t *testing.T) {
	d := server.StartT(t, server.Options{}).NewDatabaseT(t)
	db, err := postgres.Open(t.Context(), postgres.Config{
		Address: d.Address, Database: d.Name, CA: d.CA,
		Login: func(context.Context) (string, string, error) { return d.Name, d.Password, nil },
	}, group{new(shared)})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	fill(t, db)
	for name, q := range map[string]struct{ text, index string }{
		"jobs of a queue":               {textDue, "jobs_due"},
		"jobs of a customer in a queue": {textDueOf, "jobs_lane"},
		"how many of those there are":   {textQueuedFor, "jobs_lane"},
		"messages in order":             {`SELECT ` + messageColumns + ` FROM messages WHERE row > ? ORDER BY row`, "messages_pkey"},
		"the youngest messages":         {`SELECT ` + messageColumns + ` FROM messages WHERE row < ? ORDER BY row DESC`, "messages_pkey"},
		"messages of a customer":        {`SELECT ` + messageColumns + ` FROM messages WHERE customer = ? AND row > ? ORDER BY row`, "messages_of"},
		"a customer's youngest messages": {`SELECT ` + messageColumns + ` FROM messages
			WHERE customer = ? AND direction = ? AND created <= ? ORDER BY created DESC, row DESC LIMIT ?`, "messages_customer"},
		"sessions of a customer": {sessionColumns + `WHERE customer = ?`, "sessions_customer_lookup_key"},
		"customers in order":     {`SELECT id, epoch, sealed FROM customers WHERE id > ? ORDER BY id`, "customers_pkey"},
	} {
		plan, err := explain(t.Context(), db, q.text)
		if err != nil || !strings.Contains(plan, q.index) || strings.Contains(plan, "Sort") || strings.Contains(plan, "Seq Scan") {
			t.Errorf("%s are found by\n%s, want the index %s; error %v", name, plan, q.index, err)
		}
	}
}

// explain returns how the server finds rows when it does not know the parameters, as for a
// prepared statement.
func explain(ctx context.Context, db engine.Database, text string) (plan string, err error) {
	var types, values []string
	for i := range strings.Count(text, "?") {
		kind, value := "bigint", "1"
		if i == 0 && strings.Contains(text, "WHERE queue") || i == 1 && strings.Contains(text, "AND queue") {
			kind, value = "text", "'q'"
		}
		types, values = append(types, kind), append(values, value)
	}
	for n := 1; strings.Contains(text, "?"); n++ {
		text = strings.Replace(text, "?", fmt.Sprintf("$%d", n), 1)
	}
	err = db.View(ctx, func(tx engine.Tx) error {
		none := func([]driver.Value) error { return nil }
		err := tx.Rows(`PREPARE explained (`+strings.Join(types, ", ")+`) AS `+text, none)
		return errors.Join(err, tx.Rows(`EXPLAIN EXECUTE explained (`+strings.Join(values, ", ")+`)`, func(row []driver.Value) error {
			line, _ := row[0].(string)
			plan += line + "\n"
			return nil
		}), tx.Rows(`DEALLOCATE explained`, none))
	})
	return plan, err
}

// fill writes so many rows that a planner could prefer to read them all.
func fill(t *testing.T, db engine.Database) {
	t.Helper()
	for _, text := range []string{
		`INSERT INTO epochs (id, wrapped, created) VALUES (1, 'w', 0)`,
		`INSERT INTO customers (id, epoch, lookup, sealed) SELECT n, 1, decode(lpad(to_hex(n), 8, '0'), 'hex'), decode('00', 'hex') FROM generate_series(1, 200) n`,
		`INSERT INTO messages (row, id, epoch, customer, direction, state, created, updated, sealed)
			SELECT n, 'm' || n, 1, 1 + n % 200, 1, 'read', n, n, decode('00', 'hex') FROM generate_series(1, 20000) n`,
		`INSERT INTO jobs (id, epoch, queue, customer, message, not_before, attempts, created, sealed)
			SELECT n, 1, 'q', 1 + n % 200, 'm', n, 0, n, decode('00', 'hex') FROM generate_series(1, 20000) n`,
		`ANALYZE`,
	} {
		err := db.Begin(t.Context(), engine.Change{Do: func(tx engine.Tx) error { _, err := tx.Run(text); return err }, Kept: func() {}})()
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
}
