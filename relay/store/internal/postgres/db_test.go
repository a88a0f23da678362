package postgres_test

import (
	"context"
	"os"
	"strconv"
	"testing"

	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
	"github.com/relaykeep/relaykeep/relay/store/internal/engine/enginetest"
	"github.com/relaykeep/relaykeep/relay/store/internal/postgres"
	server "github.com/relaykeep/relaykeep/test/services/postgres"
)

func TestEngine(t *testing.T) {
	s := shared(t)
	enginetest.Run(t, func(t *testing.T) enginetest.Place { return &place{t: t, server: s, Database: s.LendDatabaseT(t)} })
}

// one is the server that all tests share, one after another: some kill it, and start it again.
var one *server.Server

func TestMain(m *testing.M) {
	code := m.Run()
	if one != nil {
		one.Kill()
		_ = os.RemoveAll(one.Dir)
	}
	os.Exit(code)
}

// shared returns the server, which the first test starts.
func shared(t *testing.T) *server.Server {
	t.Helper()
	if testing.Short() {
		t.Skip("needs PostgreSQL, and -short asks for no servers")
	}
	if one == nil {
		dir, err := os.MkdirTemp("", "postgres") //nolint:usetesting // it outlives the test
		if err != nil {
			t.Fatal(err)
		}
		if one, err = server.Start(t.Context(), dir, server.Options{}); err != nil {
			t.Fatalf("starting postgres: %v", err)
		}
	}
	return one
}

// place is a database with its role.
type place struct {
	t      *testing.T
	server *server.Server
	server.Database
}

func newPlace(t *testing.T, s *server.Server) *place {
	return &place{t: t, server: s, Database: s.NewDatabaseT(t)}
}

// config says where the place is.
func (p *place) config() postgres.Config {
	return postgres.Config{
		Address: p.Address, Database: p.Name, CA: p.CA, Owner: owner,
		Login: func(context.Context) (string, string, error) { return p.Name, p.Password, nil },
	}
}

var owner = [16]byte{1, 2, 3}

func (p *place) Open(owner [16]byte, mustExist bool, g engine.Group) (engine.Database, error) {
	f := p.config()
	f.Owner, f.MustExist = owner, mustExist
	db, err := postgres.Open(p.t.Context(), f, g)
	if err != nil {
		return nil, err
	}
	return db, nil
}

func (p *place) Empty() bool {
	return p.query(`SELECT count(*) FROM pg_namespace WHERE nspname = 'relaykeep'`)[0][0] == "0"
}

func (p *place) Strange() {
	p.query(`CREATE SCHEMA relaykeep AUTHORIZATION ` + p.Name)
	p.query(`CREATE TABLE relaykeep.meta (key TEXT)`)
}

func (p *place) Version(version int) {
	p.query(`UPDATE relaykeep.engine SET version = ` + strconv.Itoa(version))
}

func (p *place) Earlier(owner [16]byte, migrations int) {
	f := p.config()
	f.Owner = owner
	p.must(postgres.MakeEarlier(p.t.Context(), f, migrations))
}

func (p *place) Migrations() int {
	n, err := postgres.Migrations()
	p.must(err)
	return n
}

func (p *place) Columns() (columns []string) {
	for _, row := range p.query(`SELECT c.table_name || '.' || c.column_name
		FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
		WHERE table_schema = 'relaykeep' AND t.table_type = 'BASE TABLE' AND table_name NOT IN ('engine', 'terms')
		ORDER BY 1`) {
		columns = append(columns, row[0])
	}
	return columns
}

// query runs statements as the superuser.
func (p *place) query(text string) [][]string {
	p.t.Helper()
	rows, err := p.server.Query(context.WithoutCancel(p.t.Context()), p.Name, text)
	p.must(err)
	return rows
}

func (p *place) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}
