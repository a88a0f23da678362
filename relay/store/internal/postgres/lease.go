package postgres

import (
	"context"
	"crypto/rand"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
)

// One process writes, the one whose term stands in the table engine. Each group of changes
// begins by updating that row for its term, which locks it: a process with a former term finds
// no row, and one that takes over waits until the group has ended, or has the server end its
// session. So what the writer remembers from one group to the next is never older than the
// rows, and neither rows nor ratchets need versions of their own.

// Times of a lease. The server's clock counts.
const (
	renewEvery = 3 * time.Second
	// leaseTime is how long a writer may be silent before another process takes over although
	// the server holds its session.
	leaseTime = 10 * time.Second
	// heldTime is how long opening waits for a session that ends.
	heldTime = 2 * time.Second
	// idleWriter is how long the server waits for the next statement of a group.
	idleWriter = leaseTime
)

const (
	// textHolder says whether a session writes, and whether it was heard of within the lease,
	// in milliseconds.
	textHolder = `SELECT e.pid, e.renewed > clock_timestamp() - make_interval(secs => CAST(CAST(? AS bigint) AS double precision) / 1000)
		FROM relaykeep.engine e JOIN pg_stat_activity a ON a.pid = e.pid AND a.backend_start = e.started
		WHERE e.pid <> pg_backend_pid()`
	// textEndSilent has the server end the session of a writer that was silent for longer, and
	// waits for that for up to 5 s. textEndOwn does so with a former session of a term.
	textEndSilent = textEnd + ` AND e.renewed <= clock_timestamp() - make_interval(secs => CAST(CAST(? AS bigint) AS double precision) / 1000)`
	textEndOwn    = textEnd + ` AND e.term = ?`
	textEnd       = `SELECT pg_terminate_backend(e.pid, 5000)
		FROM relaykeep.engine e JOIN pg_stat_activity a ON a.pid = e.pid AND a.backend_start = e.started
		WHERE e.pid <> pg_backend_pid()`

	// textName is the name of the session that writes.
	textName = `SELECT a.application_name
		FROM relaykeep.engine e JOIN pg_stat_activity a ON a.pid = e.pid AND a.backend_start = e.started`

	textState = `SELECT term, groups, place, birth FROM relaykeep.engine FOR UPDATE`
	// textPlace says where the database lies: a copy has another system identifier, or is
	// another database or table; a restoration in place and a failover another timeline.
	textPlace = `SELECT (SELECT system_identifier FROM pg_control_system()) || '/' ||
		substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) || '/' ||
		(SELECT oid FROM pg_database WHERE datname = current_database()) || '/' ||
		CAST(CAST('relaykeep.engine' AS regclass) AS oid)`
	textWriter = `UPDATE relaykeep.engine SET pid = pg_backend_pid(), renewed = clock_timestamp(),
		started = (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()),
		term = ?1, groups = ?2, place = ?3, birth = ?4`
	textEnded  = `INSERT INTO relaykeep.terms (term, groups) VALUES (?, ?) ON CONFLICT (term) DO NOTHING`
	textForget = `DELETE FROM relaykeep.terms WHERE term < ?1`
	textRenew  = `UPDATE relaykeep.engine SET renewed = clock_timestamp() WHERE term = ?`
	textGroup  = `UPDATE relaykeep.engine SET groups = ?2, renewed = clock_timestamp() WHERE term = ?1`
	textFormer = `SELECT groups FROM relaykeep.terms WHERE term = ?`
	textLeave  = `UPDATE relaykeep.engine SET pid = 0 WHERE term = ?`
)

// keptTerms is how many former terms are remembered.
const keptTerms = 1000

// lease is what the row says.
type lease struct {
	term, groups, birth int64
	place               string
}

// readLease locks the row and reads it.
func readLease(c *conn) (l lease, err error) {
	found := false
	err = c.rows(textState, func(row []driver.Value) error {
		found = true
		l.term, _ = row[0].(int64)
		l.groups, _ = row[1].(int64)
		l.place, _ = row[2].(string)
		l.birth, _ = row[3].(int64)
		return nil
	})
	if err == nil && !found {
		err = engine.ErrForeign
	}
	return l, err
}

func (l lease) write(c *conn) error {
	_, err := c.run(textWriter, l.term, l.groups, l.place, l.birth)
	return err
}

// takeLease begins a term of our own, unless another process writes.
func takeLease(ctx context.Context, c *conn, silence time.Duration) (l lease, err error) {
	if err := awaitHolder(ctx, c, silence); err != nil {
		return l, err
	}
	err = c.transact(func() error {
		if l, err = readLease(c); err != nil {
			return err
		}
		if held, _, err := holder(c, silence); err != nil || held {
			return errors.Join(err, lockedIf(held))
		}
		if _, err := c.run(textEnded, l.term, l.groups); err != nil {
			return err
		}
		if _, err := c.run(textForget, l.term-keptTerms); err != nil {
			return err
		}
		here, err := placeNow(c)
		if err != nil {
			return err
		}
		if l.place != here {
			l.place, l.birth = here, randomBirth()
		}
		l.term, l.groups = l.term+1, 0
		return l.write(c)
	})
	if errors.Is(err, errLockTimeout) {
		err = engine.ErrLocked
	}
	return l, err
}

// awaitHolder returns when no session holds the lease, and has a silent one ended.
func awaitHolder(ctx context.Context, c *conn, silence time.Duration) error {
	tick := time.NewTicker(heldTime / 20)
	defer tick.Stop()
	for end := time.Now().Add(heldTime); ; {
		there, heard, err := holder(c, silence)
		if err != nil || !there {
			return err
		}
		if !heard {
			if _, err := c.run(textEndSilent, silence.Milliseconds()); err != nil {
				return fmt.Errorf("ending the session of a silent writer: %w", err)
			}
		}
		if time.Now().After(end) {
			return engine.ErrLocked
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// holder says whether there is a session that writes, and whether it was heard of lately.
func holder(c *conn, silence time.Duration) (there, heard bool, err error) {
	err = c.rows(textHolder, func(row []driver.Value) error {
		there, heard = true, row[1] == int64(1)
		return nil
	}, silence.Milliseconds())
	return there, heard, err
}

func lockedIf(held bool) error {
	if held {
		return engine.ErrLocked
	}
	return nil
}

// placeNow says where the database lies.
func placeNow(c *conn) (here string, err error) {
	err = c.rows(textPlace, func(row []driver.Value) error {
		here, _ = row[0].(string)
		return nil
	})
	return here, err
}

func randomBirth() int64 {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return int64(binary.BigEndian.Uint64(b[:])>>1 | 1)
}
