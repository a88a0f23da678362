package store_test

import (
	"context"
	"database/sql"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
)

// raw opens the database beside the store, as somebody with access to the volume could.
func (w *world) raw() *sql.DB {
	w.t.Helper()
	driver, name := "sqlite", filepath.Join(w.dir, "relay.db")
	if w.server != nil {
		driver = "pgx"
		name = (&url.URL{
			Scheme: "postgres", User: url.UserPassword(w.server.Name, w.server.Password), Host: w.server.Address, Path: w.server.Name,
			RawQuery: url.Values{"search_path": {"relaykeep"}, "sslmode": {"require"}}.Encode(),
		}).String()
	}
	db, err := sql.Open(driver, name)
	if err != nil {
		w.t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	return db
}

// What SQLite has and PostgreSQL has not.
var (
	userColumn = regexp.MustCompile(`\buser\b`)
	blobs      = regexp.MustCompile(`(?:random|zero)blob\((\d+)\)`)
)

// dialect writes a statement as the database wants it.
func (w *world) dialect(text string) string {
	if w.server == nil {
		return text
	}
	text = userColumn.ReplaceAllString(text, `"user"`)
	text = blobs.ReplaceAllString(text, `decode(repeat('5a', $1), 'hex')`)
	for n := 1; strings.Contains(text, "?"); n++ {
		text = strings.Replace(text, "?", "$"+strconv.Itoa(n), 1)
	}
	return text
}

// sql changes the database, in one session.
func (w *world) sql(statements ...string) {
	w.t.Helper()
	db := w.raw()
	defer db.Close()
	for _, s := range statements {
		w.execute(db, s)
	}
}

// exec changes the database.
func (w *world) exec(statement string, args ...any) {
	w.t.Helper()
	db := w.raw()
	defer db.Close()
	w.execute(db, statement, args...)
}

func (w *world) execute(db *sql.DB, statement string, args ...any) {
	w.t.Helper()
	if _, err := db.ExecContext(w.t.Context(), w.dialect(statement), args...); err != nil {
		w.t.Fatalf("%s: %v", statement, err)
	}
}

// query reads the database.
func (w *world) query(each func(scan func(...any) error) error, query string, args ...any) {
	w.t.Helper()
	db := w.raw()
	defer db.Close()
	rows, err := db.QueryContext(context.Background(), w.dialect(query), args...)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
}

// ofFiles leaves a test out where the store is in no directory: what it promises is about files,
// or about columns that hold what only SQLite lets them.
func ofFiles(t *testing.T) {
	t.Helper()
	if onServer != nil {
		t.Skip("about files")
	}
}
