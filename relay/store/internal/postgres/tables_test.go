package postgres_test

import (
	"database/sql"
	"path/filepath"
	"slices"
	"testing"

	"github.com/relaykeep/relaykeep/relay/store/internal/sqlite"
)

// The store's statements are the same for both engines, so what they name must be there.
func TestTables_AreThoseOfSQLite(t *testing.T) {
	dir := t.TempDir()
	if err := sqlite.Create(sqlite.Files{Dir: dir, Owner: owner}); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "relay.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), `SELECT t.name || '.' || c.name FROM sqlite_schema t, pragma_table_info(t.name) c
		WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%'`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var want []string
	for rows.Next() {
		var column string
		if err := rows.Scan(&column); err != nil {
			t.Fatal(err)
		}
		want = append(want, column)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	p := newPlace(t, shared(t))
	open(t, p.config(), new(hook))
	got := p.Columns()
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("PostgreSQL has the columns\n%q, SQLite\n%q: each migration of one engine needs its like in the other", got, want)
	}
}
