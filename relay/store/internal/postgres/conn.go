package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
)

// conn is one connection with its prepared statements. It is used by one goroutine at a time.
type conn struct {
	pg    *pgconn.PgConn
	stmts map[string]*stmt

	ahead []step // goes to the server before the next statement
	mark  int    // where in ahead the running change begins; -1: the server has it
	sent  bool   // the server knows of the transaction
	// written says that the transaction has statements that may still be ahead.
	written bool
	depth   int       // of the queries whose rows are being read
	failed  error     // of a statement, after which the server takes no other until Undo
	broken  error     // why the connection is of no use any more
	used    time.Time // when the server answered last
}

// stmt is a prepared statement.
type stmt struct {
	name    string
	params  []uint32 // types
	columns []uint32 // types
}

// step is one thing for the server to do.
type step struct {
	stmt   *stmt
	args   [][]byte
	portal string // where its rows are read; without a stmt: a portal to close
	rows   uint32 // how many of them to send at once; 0: all
	more   bool   // of a portal that is open
	// check looks at how many rows were changed; nil does not care.
	check func(rows int64) error
}

// reply is how the last step of an exchange ended.
type reply struct {
	tag       string
	rows      int64 // changed
	suspended bool  // the portal has more rows
}

// dial opens a connection.
func dial(ctx context.Context, f Config, idle time.Duration) (*conn, error) {
	pg, err := f.connect(ctx, idle)
	if err != nil {
		return nil, err
	}
	c := &conn{pg: pg, stmts: make(map[string]*stmt), mark: -1, used: time.Now()}
	if err := c.ready(); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// close tells the server, and waits at most a second for that.
func (c *conn) close() {
	c.within(time.Second)
	_ = c.pg.Close(context.Background()) // what it could report, a commit has reported before
}

// within bounds the time for what is sent and received next. A deadline of the connection costs
// less than a context for each message. If it cannot be set, the connection is closed, which
// sending will say.
func (c *conn) within(d time.Duration) { _ = c.pg.Conn().SetDeadline(time.Now().Add(d)) }

// begin begins a transaction with a statement, which travels with the first that is run in it.
func (c *conn) begin(text string) error {
	c.ahead, c.mark, c.sent, c.written, c.failed = c.ahead[:0], -1, false, false, nil
	return c.add(text, nil)
}

// write has the server run a statement of the transaction before the next one, or before its end.
func (c *conn) write(text string, args ...driver.Value) error {
	c.written = true
	return c.add(text, nil, args...)
}

// add has the server run a statement before the next one.
func (c *conn) add(text string, check func(int64) error, args ...driver.Value) error {
	s, err := c.step(text, args)
	if err != nil {
		return err
	}
	s.check = check
	c.ahead = append(c.ahead, s)
	return nil
}

// run executes a statement and says how many rows it changed.
func (c *conn) run(text string, args ...driver.Value) (int64, error) {
	s, err := c.step(text, args)
	if err != nil {
		return 0, err
	}
	r, err := c.exchange(s, nil)
	return r.rows, err
}

// Bounds of one batch of rows: how many at first, later as many as fit into so many bytes.
const (
	firstRows  = 16
	batchBytes = 256 << 10
	mostRows   = 1024
)

// rows calls each for every row of a query.
func (c *conn) rows(text string, each func([]driver.Value) error, args ...driver.Value) error {
	s, err := c.step(text, args)
	if err != nil {
		return err
	}
	s.portal, s.rows = "r"+strconv.Itoa(c.depth), firstRows
	c.depth++
	defer func() { c.depth-- }()
	for more := true; more; {
		var batch batch
		r, err := c.exchange(s, func(values [][]byte) error { return batch.add(s.stmt.columns, values) })
		if err != nil {
			return err
		}
		if more = r.suspended; !more {
			c.ahead = append(c.ahead, step{portal: s.portal})
		}
		for row := range batch.each(len(s.stmt.columns)) {
			if err := each(row); err != nil {
				if more {
					c.ahead = append(c.ahead, step{portal: s.portal})
				}
				return err
			}
		}
		s.more, s.args, s.rows = true, nil, batch.next()
	}
	return nil
}

// step prepares a statement, once for each connection: texts are constants, so there are few.
func (c *conn) step(text string, args []driver.Value) (step, error) {
	if err := c.unusable(); err != nil {
		return step{}, err
	}
	s := c.stmts[text]
	if s == nil {
		var err error
		if s, err = c.prepare(text); err != nil {
			return step{}, err
		}
	}
	if len(args) != len(s.params) {
		return step{}, fmt.Errorf("postgres: a statement has %d parameters and got %d", len(s.params), len(args))
	}
	made := step{stmt: s, args: make([][]byte, len(args))}
	for i, a := range args {
		var err error
		if made.args[i], err = encode(s.params[i], a); err != nil {
			return step{}, err
		}
	}
	return made, nil
}

func (c *conn) unusable() error {
	if c.broken != nil {
		return c.broken
	}
	return c.failed
}

func (c *conn) prepare(text string) (*stmt, error) {
	if c.pg.TxStatus() == 'E' { // what undoes the failed change is still ahead
		if _, err := c.exchange(step{}, nil); err != nil {
			return nil, err
		}
	}
	c.within(answerTimeout)
	made, err := c.pg.Prepare(context.Background(), "s"+strconv.Itoa(len(c.stmts)), numbered(text), nil)
	if err != nil {
		return nil, c.refused(err)
	}
	s := &stmt{name: made.Name, params: made.ParamOIDs, columns: make([]uint32, len(made.Fields))}
	for i, f := range made.Fields {
		s.columns[i] = f.DataTypeOID
	}
	c.stmts[text] = s
	return s, nil
}

// refused gives an error of pgconn its meaning.
func (c *conn) refused(err error) error {
	var said *pgconn.PgError
	if !errors.As(err, &said) || c.pg.IsClosed() {
		return c.lose(err)
	}
	if c.sent {
		c.failed = typed(said)
		return c.failed
	}
	return typed(said)
}

// lose notes that the connection is gone.
func (c *conn) lose(err error) error {
	c.broken = engine.ErrUnreachable
	var said *pgconn.PgError
	if errors.As(err, &said) {
		if c.broken = typed(said); !errors.Is(c.broken, engine.ErrUnreachable) {
			c.broken = fmt.Errorf("%w: %w", engine.ErrUnreachable, c.broken)
		}
	}
	c.close()
	return c.broken
}

// exchange sends what is ahead and a last step, unless that is empty, and reads the answers.
// row gets the columns of each row of the last step.
func (c *conn) exchange(last step, row func([][]byte) error) (reply, error) {
	if c.broken != nil {
		return reply{}, c.broken
	}
	steps := c.ahead
	if last.stmt != nil || last.portal != "" {
		steps = append(steps, last)
	}
	front := c.pg.Frontend()
	for i := range steps {
		steps[i].send(front)
	}
	front.SendSync(&pgproto3.Sync{})
	c.ahead, c.mark, c.sent = c.ahead[:0], -1, true
	c.within(answerTimeout)
	if err := front.Flush(); err != nil {
		return reply{}, c.lose(err)
	}
	a := answers{steps: steps, row: row}
	for !a.done {
		message, err := c.pg.ReceiveMessage(context.Background())
		if err != nil {
			return reply{}, c.lose(err)
		}
		a.take(message)
	}
	c.used = time.Now()
	clear(steps) // their arguments
	if a.failed != nil && c.pg.TxStatus() == 'E' {
		c.failed = a.failed
	}
	return a.reply, errors.Join(a.failed, a.checked)
}

// send writes the messages of a step.
func (s *step) send(front *pgproto3.Frontend) {
	switch {
	case s.stmt == nil:
		front.SendClose(&pgproto3.Close{ObjectType: 'P', Name: s.portal})
		return
	case !s.more:
		front.SendBind(&pgproto3.Bind{
			DestinationPortal: s.portal, PreparedStatement: s.stmt.name, Parameters: s.args,
			ParameterFormatCodes: []int16{pgproto3.BinaryFormat}, ResultFormatCodes: []int16{pgproto3.BinaryFormat},
		})
	}
	front.SendExecute(&pgproto3.Execute{Portal: s.portal, MaxRows: s.rows})
}

// answers reads the server's messages to the steps of one exchange.
type answers struct {
	steps   []step
	row     func([][]byte) error
	at      int // the step that is answered now
	reply   reply
	failed  error // what the server refused: it skipped what came after it
	checked error // what we refuse ourselves
	done    bool
}

func (a *answers) take(message pgproto3.BackendMessage) {
	switch m := message.(type) {
	case *pgproto3.DataRow:
		if a.row != nil && a.at == len(a.steps)-1 && a.checked == nil {
			a.checked = a.row(m.Values)
		}
	case *pgproto3.CommandComplete:
		tag := pgconn.NewCommandTag(string(m.CommandTag))
		a.end(reply{tag: tag.String(), rows: tag.RowsAffected()})
	case *pgproto3.PortalSuspended:
		a.end(reply{suspended: true})
	case *pgproto3.CloseComplete:
		a.end(reply{})
	case *pgproto3.ErrorResponse:
		a.failed = typed(pgconn.ErrorResponseToPgError(m))
	case *pgproto3.ReadyForQuery:
		a.done = true
	}
}

// end notes how the present step ended.
func (a *answers) end(r reply) {
	a.reply = r
	if a.at < len(a.steps) && a.steps[a.at].check != nil && a.checked == nil {
		a.checked = a.steps[a.at].check(r.rows)
	}
	a.at++
}
