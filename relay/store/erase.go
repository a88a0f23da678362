package store

import (
	"context"
	"errors"
	"fmt"
)

// EraseCustomer removes a customer with all that belongs to them: devices, sessions,
// messages in both directions and jobs, by the foreign keys of their tables. What is
// deleted is overwritten in the database. ErrNotFound when there is no such customer.
// The HMACs of received ciphertexts stay, so that an old one cannot be played again:
// they say nothing to who has not the ciphertext. Call Scrub once it is committed.
func (t *Tx) EraseCustomer(id CustomerID) error {
	if err := t.allow(id != 0); err != nil {
		return err
	}
	if err := t.eachSession(`WHERE customer = ?`, t.change.subtract, int64(id)); err != nil {
		return err
	}
	n, err := t.run(`DELETE FROM customers WHERE id = ?`, int64(id))
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	t.kept, t.session, t.device = 0, nil, 0
	return err
}

// EraseSome removes messages and jobs of a customer, as many as one transaction should;
// more says that there are others. With EraseCustomer after it, no transaction is larger
// than the volume's reserve, however much is kept of them.
func (t *Tx) EraseSome(id CustomerID) (more bool, err error) {
	if err := t.allow(id != 0); err != nil {
		return false, err
	}
	n, err := t.deleteSome(`DELETE FROM messages WHERE row = ?`,
		`SELECT row, length(sealed), customer FROM messages WHERE customer = ? LIMIT ?`, int64(id), int64(sweepBatch))
	if err != nil || n > 0 {
		return err == nil, err
	}
	n, err = t.deleteSome(`DELETE FROM jobs WHERE id = ?`,
		`SELECT id, length(sealed), customer FROM jobs WHERE customer = ? LIMIT ?`, int64(id), int64(sweepBatch))
	return err == nil && n > 0, err
}

// Scrub moves what is committed into the database and cuts the log in which earlier
// states of its pages lie. While a view is open it leaves that to a later one.
func (s *Store) Scrub(ctx context.Context) error {
	// Between two groups of updates: a checkpoint cannot run within a transaction.
	return s.alone(ctx, s.checkpoint)
}

// alone runs fn in the writer, outside of any transaction.
func (s *Store) alone(ctx context.Context, fn func() error) error {
	r := &request{alone: fn, done: make(chan error, 1)}
	select {
	case s.requests <- r:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stopped:
		return ErrClosed
	}
	return s.await(ctx, r)
}

func (s *Store) checkpoint() error {
	err := s.writer.script("PRAGMA wal_checkpoint(TRUNCATE)")
	s.writer.ended = nil // there was no transaction
	if err != nil {
		return fmt.Errorf("cutting the database's log: %w", err)
	}
	return nil
}

// History returns a customer's messages of both directions, oldest first: at most
// limit of those that were written after the one with the given ID, or from the first
// when it is empty. ErrNotFound when there is no such message of theirs.
func (t *Tx) History(c CustomerID, after string, limit int) ([]Message, error) {
	var from int64
	if after != "" {
		s, err := t.findMessage(`WHERE id = ?`, after)
		if err == nil && s.customer != int64(c) {
			err = ErrNotFound
		}
		if err != nil {
			return nil, err
		}
		from = s.row
	}
	messages := make([]Message, 0, min(limit, 64))
	err := t.rows(`SELECT `+messageColumns+` FROM messages WHERE customer = ? AND row > ? ORDER BY row`, func(r row) error {
		var s sealedMessage
		if err := s.scan(r); err != nil {
			return err
		}
		m, err := t.openMessage(s)
		if errors.Is(err, ErrNotFound) {
			return nil // its key died
		}
		if err != nil {
			return err
		}
		messages = append(messages, m)
		if len(messages) >= limit {
			return errEnough
		}
		return nil
	}, int64(c), from)
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	return messages, nil
}
