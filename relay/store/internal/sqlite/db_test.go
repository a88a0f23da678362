package sqlite_test

import (
	"database/sql"
	"database/sql/driver"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
	"github.com/relaykeep/relaykeep/relay/store/internal/engine/enginetest"
	"github.com/relaykeep/relaykeep/relay/store/internal/sqlite"
)

func TestEngine(t *testing.T) {
	enginetest.Run(t, func(t *testing.T) enginetest.Place { return &place{t: t, dir: filepath.Join(t.TempDir(), "data")} })
}

// place is a directory.
type place struct {
	t   *testing.T
	dir string
}

func (p *place) Open(owner [16]byte, mustExist bool, g engine.Group) (engine.Database, error) {
	db, err := sqlite.Open(sqlite.Files{Dir: p.dir, Owner: owner, MustExist: mustExist}, g)
	if err != nil {
		return nil, err
	}
	return db, nil
}

func (p *place) Empty() bool {
	_, err := os.Stat(p.dir)
	return err != nil
}

func (p *place) Strange() {
	p.must(os.MkdirAll(p.dir, 0o700))
	p.exec(`CREATE TABLE meta (key TEXT, value BLOB); PRAGMA user_version = 1`)
}

func (p *place) Version(version int) { p.exec(`PRAGMA user_version = ` + strconv.Itoa(version)) }

func (p *place) Earlier(owner [16]byte, migrations int) {
	p.must(os.MkdirAll(p.dir, 0o700))
	p.must(sqlite.MakeEarlier(sqlite.Files{Dir: p.dir, Owner: owner}, migrations))
}

func (p *place) Migrations() int {
	n, err := sqlite.Migrations()
	p.must(err)
	return n
}

func (p *place) Columns() (columns []string) {
	db := p.raw()
	defer db.Close()
	rows, err := db.Query(`SELECT t.name || '.' || c.name FROM sqlite_schema t, pragma_table_info(t.name) c
		WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' ORDER BY 1`)
	p.must(err)
	defer rows.Close()
	for rows.Next() {
		var column string
		p.must(rows.Scan(&column))
		columns = append(columns, column)
	}
	p.must(rows.Err())
	return columns
}

func (p *place) raw() *sql.DB {
	db, err := sql.Open("sqlite", filepath.Join(p.dir, "relay.db"))
	p.must(err)
	return db
}

func (p *place) exec(text string) {
	db := p.raw()
	defer db.Close()
	_, err := db.Exec(text)
	p.must(err)
}

func (p *place) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func TestViews_OneAfterAnotherHaveOneConnection(t *testing.T) {
	p := &place{t: t, dir: filepath.Join(t.TempDir(), "data")}
	db, err := p.Open([16]byte{1}, false, quiet{})
	p.must(err)
	defer db.Close()
	before := p.connections()
	for range 10 {
		p.must(db.View(t.Context(), func(tx engine.Tx) error {
			return tx.Rows(`SELECT count(*) FROM meta`, func([]driver.Value) error { return nil })
		}))
	}
	if n := p.connections() - before; n != 1 {
		t.Errorf("%d connections for them, want 1", n)
	}
}

// connections is how often this process has the database open.
func (p *place) connections() (n int) {
	open, err := os.ReadDir("/proc/self/fd")
	p.must(err)
	for _, f := range open {
		if to, err := os.Readlink(filepath.Join("/proc/self/fd", f.Name())); err == nil && to == filepath.Join(p.dir, "relay.db") {
			n++
		}
	}
	return n
}

// quiet is a group that writes nothing.
type quiet struct{}

func (quiet) Commit(engine.Tx) error { return nil }

func (quiet) Ended(error) {}
