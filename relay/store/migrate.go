package store

import (
	"context"
	"crypto/sha256"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
	"github.com/relaykeep/relaykeep/relay/store/internal/postgres"
	"github.com/relaykeep/relaykeep/relay/store/internal/sqlite"
)

// ErrNotEmpty means that the database holds something else than the store that should be moved into it.
var ErrNotEmpty = errors.New("store: the database is not empty, and holds something else than the directory; make an empty one")

// ErrCopy means that the database does not hold what was copied into it. Nothing was changed.
var ErrCopy = errors.New("store: what the database server returns is not what was copied; nothing was changed")

// tables are those that are moved, in an order in which no row refers to one that comes later. Without meta, whose
// rows are about the place.
func tables() []string {
	return []string{
		"epochs", "settings_keys", "settings", "customers", "devices", tableSessions, tablePreKeys, "messages", "seen", "jobs",
		"media", "media_chunks", tableBases, "counts", "requests", "meter_hours", "meter_days",
		"log_hashes", "log_entries",
	}
}

// MoveToServer copies the store in dir, which belongs to storeID and no process has open, into an empty
// database, and then makes the one in dir unusable (ErrMoved). It returns how many rows there were. Rows are copied as
// they are, sealed, in one transaction; before that commits, the number of rows and a digest of every table are
// compared. After an interruption the directory or the database has everything: call it again. It finds a finished copy by its
// digests.
//
// Options say where the directory's store belongs (OnVolume): one that was restored is still Restored
// in the database. Errors are also those of Open, for both places, ErrNotEmpty, ErrCopy and ErrMoved, and leave
// dir as it was.
func MoveToServer(ctx context.Context, dir string, storeID [16]byte, to Server, opts ...Option) (rows int64, err error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	from, err := sqlite.OpenSource(sqlite.Files{Dir: dir, Owner: storeID})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	m := &move{from: from, origin: origin{birth: from.Birth(), volume: o.volume}, dir: dir}
	if err := m.look(); err != nil {
		return 0, err
	}
	err = postgres.ImportInto(ctx, to.config(storeID, false), func(i *postgres.Import) error {
		m.to = i
		return m.copy(ctx)
	})
	if err != nil {
		return 0, err
	}
	for _, d := range m.sent {
		rows += int64(d.rows)
	}
	return rows, from.Retire()
}

// querier runs queries.
type querier interface {
	Rows(text string, each func([]driver.Value) error, args ...driver.Value) error
}

// move copies one store.
type move struct {
	from   *sqlite.Source
	to     *postgres.Import
	dir    string
	origin origin // where the directory's database lies now

	columns map[string][]string // of each table
	job     int64               // the highest identifier of a job that was ever given out
	meta    map[string][]byte   // what the database's table meta gets
	sent    map[string]digest   // by table
}

// digest is the number of rows and the sum of their hashes, modulo 2^256: the order does not matter.
type digest struct {
	rows uint64
	sum  sum
}

func (d *digest) add(row []driver.Value) error {
	h := sha256.New()
	var head [9]byte
	for _, value := range row {
		var body []byte
		switch v := value.(type) {
		case nil:
			head[0] = 'n'
		case int64:
			head[0], body = 'i', binary.BigEndian.AppendUint64(nil, uint64(v))
		case string:
			head[0], body = 's', []byte(v)
		case []byte:
			head[0], body = 'b', v
		default:
			return engine.ErrDamaged // no column has it
		}
		binary.BigEndian.PutUint64(head[1:], uint64(len(body)))
		_, _ = h.Write(head[:])
		_, _ = h.Write(body)
	}
	d.rows++
	d.sum.add(sumOf(h.Sum(nil)))
	return nil
}

// look reads what the directory's database is like.
func (m *move) look() error {
	m.columns = make(map[string][]string)
	err := m.from.Rows(`SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c
		WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND t.name <> 'meta' ORDER BY t.name, c.cid`, func(row []driver.Value) error {
		table, _ := row[0].(string)
		column, _ := row[1].(string)
		if !slices.Contains(tables(), table) {
			return fmt.Errorf("moving the store: the table %s is unknown", table)
		}
		m.columns[table] = append(m.columns[table], column)
		return nil
	})
	if err != nil {
		return err
	}
	err = m.from.Rows(`SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'jobs'`, func(row []driver.Value) error {
		m.job, _ = row[0].(int64)
		return nil
	})
	if err != nil {
		return err
	}
	return m.lookAtMeta()
}

// elsewhere is an origin that no database on a server has: one that is recorded there counts as restored.
const elsewhere = "1/"

// lookAtMeta reads the table meta. Whose the store is is elsewhere in the database, and where it lies is noted when it
// is opened; but a store that was restored must count as that there, too.
func (m *move) lookAtMeta() error {
	m.meta = make(map[string][]byte)
	err := m.from.Rows(`SELECT key, value FROM meta`, func(row []driver.Value) error {
		key, _ := row[0].(string)
		m.meta[key], _ = row[1].([]byte)
		return nil
	})
	if err != nil {
		return err
	}
	recorded, found := m.meta["origin"]
	delete(m.meta, "origin")
	delete(m.meta, "store")
	marked, err := (&Store{dir: m.dir}).marked()
	if err != nil {
		return err
	}
	if marked || found && parseOrigin(string(recorded)).moved(m.origin) {
		m.meta["origin"] = []byte(elsewhere)
	}
	return nil
}

// read calls each for every row of a table, and returns its digest.
func (m *move) read(from querier, table string, each func([]driver.Value) error) (d digest, err error) {
	err = from.Rows(selection(table, m.columns[table]), func(row []driver.Value) error {
		if err := d.add(row); err != nil {
			return fmt.Errorf("%s: %w", table, err)
		}
		if each == nil {
			return nil
		}
		return each(row)
	})
	return d, err
}

// copy copies everything and compares it.
func (m *move) copy(ctx context.Context) error {
	there, err := m.digests(m.to)
	if err != nil {
		return err
	}
	if !empty(there) {
		return m.finished(there)
	}
	m.sent = make(map[string]digest)
	for _, table := range tables() {
		text := insertion(table, m.columns[table])
		d, err := m.read(m.from, table, func(row []driver.Value) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return m.to.Put(text, slices.Clone(row)...)
		})
		if err != nil {
			return fmt.Errorf("copying %s: %w", table, err)
		}
		m.sent[table] = d
	}
	for key, value := range m.meta {
		if err := m.to.Put(textMeta, key, value); err != nil {
			return fmt.Errorf("copying meta: %w", err)
		}
		d := m.sent[tableMeta]
		if err := d.add([]driver.Value{key, value}); err != nil {
			return err
		}
		m.sent[tableMeta] = d
	}
	if there, err = m.digests(m.to); err != nil {
		return err
	}
	if !same(m.sent, there) {
		return ErrCopy
	}
	return m.to.Continue(m.job)
}

// finished says whether the database has all of the directory already.
func (m *move) finished(there map[string]digest) error {
	here, err := m.digests(m.from)
	if err != nil {
		return err
	}
	var d digest
	for key, value := range m.meta {
		if err := d.add([]driver.Value{key, value}); err != nil {
			return err
		}
	}
	here["meta"] = d
	if !same(here, there) {
		return ErrNotEmpty
	}
	m.sent = here
	return nil
}

// digests reads every table.
func (m *move) digests(from querier) (map[string]digest, error) {
	all := make(map[string]digest)
	for _, table := range tables() {
		d, err := m.read(from, table, nil)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", table, err)
		}
		all[table] = d
	}
	var d digest
	err := from.Rows(`SELECT key, value FROM meta`, d.add)
	all["meta"] = d
	return all, err
}

func empty(all map[string]digest) bool {
	for _, d := range all {
		if d.rows > 0 {
			return false
		}
	}
	return true
}

func same(a, b map[string]digest) bool {
	for _, table := range append(tables(), "meta") {
		if a[table] != b[table] {
			return false
		}
	}
	return true
}
