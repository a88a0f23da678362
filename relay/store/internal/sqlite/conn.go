package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"

	"modernc.org/sqlite"
)

// conn is one connection with its prepared statements. It speaks to the driver
// without database/sql, whose locking and reflection cost more than the statements
// do. It is used by one goroutine at a time.
type conn struct {
	raw   driver.Conn
	stmts map[string]*stmt
	// ended is the error that ended the running transaction, until its owner rolls back:
	// see note.
	ended error
}

// stmt is a prepared statement with what its rows are read into.
type stmt struct {
	exec  driver.StmtExecContext
	query driver.StmtQueryContext
	close func() error
	args  []driver.NamedValue
	row   []driver.Value
}

// busyTimeout is how long a connection waits for others', in milliseconds.
const busyTimeout = "busy_timeout(10000)"

// pragmas of every connection. secure_delete overwrites what is deleted;
// synchronous=FULL makes a commit in WAL mode survive a loss of power.
func pragmas() []string {
	return []string{
		busyTimeout,
		"foreign_keys(1)",
		"secure_delete(1)",
		"synchronous(FULL)",
		"temp_store(MEMORY)",
		"trusted_schema(0)",
		"cell_size_check(1)",
	}
}

// openConn opens a connection to the database at path.
func openConn(path string, more ...string) (*conn, error) {
	query := url.Values{}
	for _, p := range append(more, pragmas()...) {
		query.Add("_pragma", p)
	}
	name := (&url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}).String()
	raw, err := new(sqlite.Driver).Open(name)
	if err != nil {
		return nil, fmt.Errorf("opening the database: %w", typed(err))
	}
	return &conn{raw: raw, stmts: make(map[string]*stmt)}, nil
}

func (c *conn) close() error {
	for _, s := range c.stmts {
		_ = s.close() // the connection's Close reports what matters
	}
	c.stmts = nil
	return c.raw.Close()
}

// prepare returns the cached statement for a query text. Texts are constants, so
// there are few.
func (c *conn) prepare(text string) (*stmt, error) {
	if s := c.stmts[text]; s != nil {
		return s, nil
	}
	raw, err := c.raw.Prepare(text)
	if err != nil {
		return nil, fmt.Errorf("preparing a statement: %w", typed(err))
	}
	s := &stmt{close: raw.Close}
	var execs, queries bool
	s.exec, execs = raw.(driver.StmtExecContext)
	s.query, queries = raw.(driver.StmtQueryContext)
	if !execs || !queries {
		return nil, errors.Join(errors.New("the SQLite driver does not have a method"), raw.Close())
	}
	c.stmts[text] = s
	return s, nil
}

func (s *stmt) bind(args []driver.Value) []driver.NamedValue {
	s.args = s.args[:0]
	for i, a := range args {
		s.args = append(s.args, driver.NamedValue{Ordinal: i + 1, Value: a})
	}
	return s.args
}

// run executes a statement and says how many rows it changed. The driver watches a
// context with a goroutine for each statement, so it gets none: statements are
// short, and callers' contexts are heeded before and after.
func (c *conn) run(text string, args ...driver.Value) (int64, error) {
	if c.ended != nil {
		return 0, c.ended
	}
	s, err := c.prepare(text)
	if err != nil {
		return 0, err
	}
	result, err := s.exec.ExecContext(context.Background(), s.bind(args))
	clear(s.args)
	if err != nil {
		return 0, c.note(err)
	}
	return result.RowsAffected()
}

// rows calls each for every row of a query. The row is valid until each returns;
// byte slices in it may be kept. Statements must not be nested with the same text.
func (c *conn) rows(text string, each func([]driver.Value) error, args ...driver.Value) (err error) {
	if c.ended != nil {
		return c.ended
	}
	s, err := c.prepare(text)
	if err != nil {
		return err
	}
	rows, err := s.query.QueryContext(context.Background(), s.bind(args))
	clear(s.args)
	if err != nil {
		return c.note(err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if s.row == nil {
		s.row = make([]driver.Value, len(rows.Columns()))
	}
	defer clear(s.row)
	for {
		if err := rows.Next(s.row); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return c.note(err)
		}
		if err := each(s.row); err != nil {
			return err
		}
	}
}

// integer returns the first column of the first row; 0 where it is no integer, or where
// there is no row.
func (c *conn) integer(text string) (n int64, err error) {
	found := false
	err = c.rows(text, func(row []driver.Value) error {
		if !found {
			n, _ = row[0].(int64)
			found = true
		}
		return nil
	})
	return n, err
}

// script runs statements without parameters, once.
func (c *conn) script(text string) error {
	if c.ended != nil {
		return c.ended
	}
	s, err := c.raw.Prepare(text)
	if err != nil {
		return typed(err)
	}
	exec, _ := s.(driver.StmtExecContext)
	_, err = exec.ExecContext(context.Background(), nil)
	return c.note(errors.Join(err, s.Close()))
}

// transact runs fn in a write transaction.
func (c *conn) transact(fn func() error) error {
	if err := c.begin(); err != nil {
		return err
	}
	err := fn()
	if err == nil {
		_, err = c.run("COMMIT")
	}
	if err != nil {
		return errors.Join(err, c.rollback())
	}
	return nil
}

// restart undoes all of the running transaction and begins another, unless an error has ended it.
func (c *conn) restart() error {
	if c.ended != nil {
		return c.ended
	}
	if err := c.rollback(); err != nil {
		return fmt.Errorf("undoing a refused write: %w", err)
	}
	return c.begin()
}

// begin begins a write transaction. Outside of one no error stays.
func (c *conn) begin() error {
	c.ended = nil
	_, err := c.run("BEGIN IMMEDIATE")
	if err != nil && c.ended == nil { // the one before may not have been rolled back
		_, _ = c.run("ROLLBACK")
		c.ended = nil
		_, err = c.run("BEGIN IMMEDIATE")
	}
	if err != nil {
		c.ended = nil
	}
	return err
}

// rollback ends a transaction. SQLite may have done it already, which is no error when
// it said why.
func (c *conn) rollback() error {
	ended := c.ended
	c.ended = nil
	_, err := c.run("ROLLBACK")
	c.ended = nil
	if ended == nil {
		return err
	}
	return nil // the transaction is gone, and why was said
}

// note types an error and remembers one after which SQLite may have rolled the whole
// transaction back (sqlite.org/lang_transaction.html, 3.1). Its connection would then
// commit each further statement by itself, so they are refused until the transaction's
// owner has ended it.
func (c *conn) note(err error) error {
	err = typed(err)
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() & 0xff {
	case codeNoMemory, codeInterrupt, codeIO, codeFull:
		c.ended = err
	}
	return err
}
