package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
	"github.com/relaykeep/relaykeep/relay/store/internal/postgres"
)

// Forms of a store that is taken elsewhere.
const (
	FormFile = ""     // a SQLite file
	FormRows = "rows" // of a database on a server
)

// tableMeta has what is known about the place, and not moved, and what is known about the store.
const tableMeta = "meta"

// DepartFrom prepares the store in a database, which belongs to storeID and no process has open, as Depart does. Nobody else can
// write in it before Close. ctx bounds the preparing. Errors are those of Open.
func DepartFrom(ctx context.Context, from Server, storeID [16]byte) (*Departing, error) {
	db, err := openServer(ctx, from.config(storeID, true), nobody{})
	if err != nil {
		return nil, err
	}
	d, s := &Departing{}, &serverRows{db: db}
	err = db.View(ctx, func(tx engine.Tx) error {
		if err := d.readKeys(tx); err != nil {
			return err
		}
		var size counter
		if err := s.write(tx, &size); err != nil {
			return err
		}
		s.size = int64(size)
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	d.content = s
	return d, nil
}

// nobody is a group of changes that nobody makes.
type nobody struct{}

func (nobody) Commit(engine.Tx) error { return nil }

func (nobody) Ended(error) {}

// counter counts bytes.
type counter int64

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// serverRows is a database in which nobody writes, as rows.
type serverRows struct {
	db   engine.Database
	size int64
}

// Size implements content.
func (s *serverRows) Size() int64 { return s.size }

// Open implements content.
func (s *serverRows) Open(ctx context.Context) (io.ReadCloser, error) {
	r, w := io.Pipe()
	go func() {
		_ = w.CloseWithError(s.db.View(ctx, func(tx engine.Tx) error { return s.write(tx, w) })) // never fails
	}()
	return r, nil
}

// Close implements content.
func (s *serverRows) Close() error { return s.db.Close() }

// write writes everything.
func (s *serverRows) write(tx engine.Tx, to io.Writer) error {
	columns, err := serverColumns(tx)
	if err != nil {
		return err
	}
	w := newRowWriter(to)
	for _, table := range append(tables(), tableMeta) {
		w.table(table, columns[table])
		err := tx.Rows(selection(table, columns[table]), func(row []driver.Value) error {
			if table == tableMeta && slices.Contains(aboutPlace(), row[0]) {
				return nil
			}
			return w.row(row)
		})
		if err != nil {
			return fmt.Errorf("reading %s: %w", table, err)
		}
	}
	var job int64
	err = tx.Rows(`SELECT seq FROM sqlite_sequence WHERE name = 'jobs'`, func(row []driver.Value) error {
		job, _ = row[0].(int64)
		return nil
	})
	if err != nil {
		return err
	}
	return w.end(job)
}

// aboutPlace are the keys of meta that are about the place.
func aboutPlace() []driver.Value { return []driver.Value{"origin", "store"} }

// selection reads a whole table.
func selection(table string, columns []string) string {
	return "SELECT " + strings.Join(columns, ", ") + " FROM " + table
}

// serverColumns are the columns of each table of a database on a server, in the order in which they are read.
func serverColumns(from querier) (map[string][]string, error) {
	columns := map[string][]string{tableMeta: {"key", "value"}}
	err := from.Rows(`SELECT CAST(c.relname AS TEXT), CAST(a.attname AS TEXT) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
		WHERE c.relnamespace = to_regnamespace('relaykeep') AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped`, func(row []driver.Value) error {
		table, _ := row[0].(string)
		column, _ := row[1].(string)
		if slices.Contains(tables(), table) {
			columns[table] = append(columns[table], column)
		}
		return nil
	})
	for table := range columns {
		if table != tableMeta {
			slices.Sort(columns[table])
		}
	}
	if err == nil && len(columns) != len(tables())+1 {
		err = ErrDamaged
	}
	return columns, err
}

// arrivalIdle is how long a database waits for what comes next of a store that arrives over a slow way.
const arrivalIdle = 10 * time.Minute

// PlaceIn puts the store that from reads, as rows, into an empty database, in one transaction. When it fails, the database is
// empty as before. Errors are also ErrNotEmpty, ErrForeignStore, ErrNewer, ErrDamaged, ErrCopy, those of the server and those of
// from and Wrap.
func (a Arriving) PlaceIn(ctx context.Context, to Server, from io.Reader) error {
	return postgres.ReceiveInto(ctx, to.config(a.StoreID, false), arrivalIdle, func(i *postgres.Import) error { return a.takeIn(ctx, i, from) })
}

// takeIn copies what a reader has, and compares it.
func (a Arriving) takeIn(ctx context.Context, i *postgres.Import, from io.Reader) error {
	columns, err := serverColumns(i)
	if err != nil {
		return err
	}
	m := &move{to: i, columns: columns, sent: map[string]digest{}}
	there, err := m.digests(i)
	if err != nil {
		return err
	}
	if !empty(there) {
		return ErrNotEmpty
	}
	if err := m.receive(ctx, from); err != nil {
		return fmt.Errorf("taking the store's rows in: %w", err)
	}
	if there, err = m.digests(i); err != nil {
		return err
	}
	if !same(m.sent, there) {
		return ErrCopy
	}
	if err := a.wrapIn(i); err != nil {
		return err
	}
	if a.Restored {
		if err := i.Put(textMeta, "origin", []byte(elsewhere)); err != nil {
			return err
		}
	}
	return i.Continue(m.job)
}

// textMeta puts a row into meta.
const textMeta = `INSERT INTO meta (key, value) VALUES (?, ?)`

// receive copies what a reader has, up to its end.
func (m *move) receive(ctx context.Context, from io.Reader) error {
	r, err := newRowReader(from)
	if err != nil {
		return err
	}
	for _, table := range append(tables(), tableMeta) {
		columns, err := r.table(table)
		if err != nil {
			return err
		}
		if !slices.Equal(columns, m.columns[table]) {
			return ErrNewer
		}
		text := insertion(table, columns)
		var d digest
		for {
			row, err := r.row(len(columns))
			if err := errors.Join(err, ctx.Err()); err != nil {
				return err
			}
			if row == nil {
				break
			}
			if err := errors.Join(d.add(row), m.to.Put(text, row...)); err != nil {
				return fmt.Errorf("%s: %w", table, err)
			}
		}
		m.sent[table] = d
	}
	m.job, err = r.end()
	return err
}

// insertion puts a row into a table.
func insertion(table string, columns []string) string {
	return "INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ") VALUES (" + strings.Repeat("?, ", len(columns)-1) + "?)"
}

// wrapIn has the data keys wrapped again.
func (a Arriving) wrapIn(i *postgres.Import) error {
	epochs, settings, err := a.Wrap()
	if err != nil {
		return err
	}
	var have Departing
	if err := have.readKeys(i); err != nil {
		return err
	}
	for _, keys := range []struct {
		table string
		have  []seal.Epoch
		give  map[int64]string
	}{{"epochs", have.Epochs, epochs}, {"settings_keys", have.Settings, settings}} {
		for id, wrapped := range keys.give {
			if !slices.ContainsFunc(keys.have, func(e seal.Epoch) bool { return e.ID == id }) {
				return fmt.Errorf("wrapping the data keys again: %w", ErrDamaged)
			}
			if err := i.Put(`UPDATE `+keys.table+` SET wrapped = ? WHERE id = ?`, wrapped, id); err != nil {
				return fmt.Errorf("wrapping the data keys again: %w", err)
			}
		}
	}
	return nil
}
