package postgres

import (
	"context"
	"database/sql/driver"
	"strings"
)

// Watch looks who has a database open. It needs no term. Its methods are not safe for concurrent use.
type Watch struct {
	config Config
	conn   *conn
}

// NewWatch returns a Watch, which connects when it is asked.
func NewWatch(f Config) *Watch { return &Watch{config: f} }

// Holder returns the Name of the process that writes; held is false when there is none. A process that does not
// answer any more counts as long as the server has its session and it renewed its lease lately.
func (w *Watch) Holder(ctx context.Context) (name string, held bool, err error) {
	if w.conn == nil || w.conn.broken != nil {
		if w.conn, err = dial(ctx, w.config, idleWriter); err != nil {
			w.conn = nil
			return "", false, err
		}
	}
	s, err := look(w.conn)
	if err != nil || !s.table {
		return "", false, err
	}
	there, heard, err := holder(w.conn, leaseTime)
	if err != nil || !there || !heard {
		return "", false, err
	}
	err = w.conn.rows(textName, func(row []driver.Value) error {
		name, _ = row[0].(string)
		name = strings.TrimPrefix(name, applicationName)
		return nil
	})
	return name, err == nil, err
}

// Close ends the connection.
func (w *Watch) Close() {
	if w.conn != nil {
		w.conn.close()
	}
}
