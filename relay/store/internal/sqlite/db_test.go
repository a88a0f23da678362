package sqlite_test

import (
	"database/sql"
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
