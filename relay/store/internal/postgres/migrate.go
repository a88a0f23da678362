package postgres

import (
	"context"
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
)

// Migrations are the files of one directory in the order of their names, each run once, in one
// transaction with the increment of engine.version. An advisory lock keeps two processes from
// running them at the same time. There is no way back: an older build refuses the database.
//
//go:embed migrations/*.sql
var migrations embed.FS

//go:embed engine.sql
var engineTable string

// schemaName is the schema that all tables are in. Nothing else in the database is ours.
const schemaName = "relaykeep"

// advisoryLock is the key of the lock that migrations hold: "rkst", as SQLite's application id.
const advisoryLock = 0x726b7374

// texts returns the migrations in order.
func texts() ([]string, error) {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return nil, fmt.Errorf("listing migrations: %w", err)
	}
	slices.Sort(names)
	all := make([]string, len(names))
	for i, name := range names {
		text, err := migrations.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("reading migration %s: %w", name, err)
		}
		all[i] = string(text)
	}
	return all, nil
}

// state is what is in the database.
type state struct {
	schema, table bool // there is our schema; and in it, what the engine knows
	owner         []byte
	version       int
}

// look reads what is in the database and changes nothing.
func look(c *conn) (s state, err error) {
	err = c.rows(`SELECT to_regnamespace('relaykeep') IS NOT NULL, to_regclass('relaykeep.engine') IS NOT NULL`, func(row []driver.Value) error {
		s.schema, s.table = row[0] == int64(1), row[1] == int64(1)
		return nil
	})
	if err != nil || !s.table {
		return s, err
	}
	err = c.rows(`SELECT owner, version FROM relaykeep.engine`, func(row []driver.Value) error {
		s.owner, _ = row[0].([]byte)
		version, _ := row[1].(int64)
		s.version = int(version)
		return nil
	})
	return s, err
}

// check says why what is in the database must not be opened.
func (f Config) check(s state, known int) error {
	switch {
	case !s.schema && f.MustExist:
		return engine.ErrMissing
	case !s.schema:
		return nil
	case !s.table, len(s.owner) != 16:
		return engine.ErrForeign
	case string(s.owner) != string(f.Owner[:]):
		return engine.ErrForeign
	case s.version > known:
		return engine.ErrNewer
	}
	return nil
}

// begin makes the schema, without a table of the store, unless it is there. What must not be opened is not
// changed.
func (f Config) begin(c *conn) error {
	all, err := texts()
	if err != nil {
		return err
	}
	return f.change(c, len(all), func(s state) bool { return s.schema }, func(s state) error { return f.create(c) })
}

// prepare brings the tables of the store up to date.
func (f Config) prepare(c *conn) error {
	all, err := texts()
	if err != nil {
		return err
	}
	return f.migrate(c, all)
}

// change changes a schema that is not done yet, and that a build with so many migrations may open.
func (f Config) change(c *conn, known int, done func(state) bool, do func(state) error) error {
	s, err := look(c)
	if err == nil {
		err = f.check(s, known)
	}
	if err != nil || done(s) {
		return err
	}
	return c.transact(func() error {
		if _, err := c.run(`SELECT pg_advisory_xact_lock(?)`, int64(advisoryLock)); err != nil {
			return err
		}
		s, err := look(c) // another process may have been here meanwhile
		if err == nil {
			err = f.check(s, known)
		}
		if err != nil || done(s) {
			return err
		}
		return do(s)
	})
}

func (f Config) migrate(c *conn, all []string) error {
	return f.change(c, len(all), func(s state) bool { return s.version == len(all) }, func(s state) error {
		for version := s.version; version < len(all); version++ {
			if err := c.script(all[version]); err != nil {
				return fmt.Errorf("applying migration %d: %w", version+1, err)
			}
		}
		_, err := c.run(`UPDATE relaykeep.engine SET version = ?`, int64(len(all)))
		return err
	})
}

// create makes the schema and what the engine knows.
func (f Config) create(c *conn) error {
	if err := c.script("CREATE SCHEMA relaykeep; REVOKE ALL ON SCHEMA relaykeep FROM PUBLIC;\n" + engineTable); err != nil {
		return fmt.Errorf("creating the schema: %w", err)
	}
	_, err := c.run(`INSERT INTO relaykeep.engine (owner, version, term, groups, pid, started, renewed, place, birth)
		VALUES (?, 0, 0, 0, 0, now(), now(), '', 0)`, f.Owner[:])
	return err
}

// script runs statements without parameters, once.
func (c *conn) script(text string) error { return c.scriptWithin(answerTimeout, text) }

func (c *conn) scriptWithin(d time.Duration, text string) error {
	if len(c.ahead) > 0 {
		if _, err := c.exchange(step{}, nil); err != nil {
			return err
		}
	}
	c.within(d)
	_, err := c.pg.Exec(context.Background(), text).ReadAll()
	var said *pgconn.PgError
	if errors.As(err, &said) && !c.pg.IsClosed() {
		return typed(said)
	}
	if err != nil {
		return c.lose(err)
	}
	return nil
}

// transact runs fn in a transaction.
func (c *conn) transact(fn func() error) error {
	if err := c.begin("BEGIN"); err != nil {
		return err
	}
	err := fn()
	if err == nil {
		_, err = c.commit()
	}
	if err != nil {
		return errors.Join(err, c.rollback())
	}
	return nil
}
