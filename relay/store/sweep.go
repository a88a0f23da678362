package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"time"

	"github.com/relaykeep/relaykeep/relay/seal"
)

// sweepBatch is how many rows one Update of a sweep removes, so that others do not wait long.
const sweepBatch = 500

// Sweep forgets the keys of epochs that were opened at or before the given time (now less the
// retention) and removes their rows. It also removes messages and jobs that were created before
// it. This is housekeeping: old rows become unreadable because Vault destroys their keys.
func (s *Store) Sweep(ctx context.Context, before time.Time) (Swept, error) {
	var old []int64
	for _, e := range s.keys.Live() {
		if !e.Created.After(before) {
			old = append(old, e.ID)
		}
	}
	s.keys.Forget(old...)
	dead, err := s.epochsUntil(ctx, before)
	if err != nil {
		return Swept{}, err
	}
	swept, err := s.sweepEpochs(ctx, dead)
	if err != nil {
		return swept, err
	}
	err = s.sweepOld(ctx, before, &swept)
	return swept, err
}

// ForgetContent destroys the keys in memory whose time is over, and removes the files that they sealed, which
// nobody can open any more; so also those of a former process. Call it every minute or so. Without
// ContentInMemory it does nothing.
func (s *Store) ForgetContent(ctx context.Context, now time.Time) error {
	if s.memory == nil {
		return nil
	}
	s.memory.keys.Expire()
	before := now.Add(-s.memory.Life)
	if s.memory.opened.After(before) {
		before = s.memory.opened
	}
	var n int
	return s.deleteMediaWhere(ctx, &n, `SELECT id FROM media WHERE created < ? LIMIT 1`, toMillis(before))
}

// epochsUntil returns the recorded epochs that were opened until the given time.
func (s *Store) epochsUntil(ctx context.Context, before time.Time) ([]int64, error) {
	var recorded []seal.Epoch
	err := s.View(ctx, func(t *Tx) (err error) {
		recorded, err = t.epochs()
		return err
	})
	if err != nil {
		return nil, err
	}
	var ids []int64
	for _, e := range recorded {
		if !e.Created.After(before) {
			ids = append(ids, e.ID)
		}
	}
	return ids, nil
}

// sweepEpochs removes all rows of the given epochs, then the epochs. The highest
// epoch's own row stays so that its ID is never used again.
func (s *Store) sweepEpochs(ctx context.Context, dead []int64) (Swept, error) {
	var swept Swept
	for _, epoch := range dead {
		if err := s.sweepRows(ctx, epoch, &swept); err != nil {
			return swept, err
		}
		var n int64
		err := s.Shrink(ctx, func(t *Tx) (err error) {
			n, err = t.run(`DELETE FROM epochs WHERE id = ? AND id < (SELECT max(id) FROM epochs)`, epoch)
			return err
		})
		if err != nil {
			return swept, err
		}
		swept.Epochs += int(n)
	}
	if len(dead) == 0 {
		return swept, nil
	}
	err := s.sweepOrphans(ctx, &swept)
	return swept, err
}

// sweepOrphans removes messages and hashes of epochs that are no longer recorded: if an epoch
// died before an older one, its rows are reached only now.
func (s *Store) sweepOrphans(ctx context.Context, swept *Swept) error {
	err := s.deleteRows(ctx, &swept.Messages, `DELETE FROM messages WHERE row = ?`,
		`SELECT row, length(sealed), customer FROM (SELECT row, sealed, customer, epoch FROM messages ORDER BY row LIMIT ?) AS oldest WHERE epoch < (SELECT min(id) FROM epochs)`,
		int64(sweepBatch))
	if err != nil {
		return err
	}
	for _, table := range []string{"seen", "requests"} {
		err := s.deleteAll(ctx, &swept.Others,
			`DELETE FROM `+table+` WHERE row IN (SELECT row FROM `+table+` ORDER BY row LIMIT ?) AND epoch < (SELECT min(id) FROM epochs)`,
			int64(sweepBatch))
		if err != nil {
			return err
		}
	}
	return nil
}

// sweepRows removes the rows of one epoch from every table: first pre-keys, since no pre-key
// may outlive the hashes of the messages that used it; then what belongs to customers, then the
// customers, so that no cascade removes anything unnoticed. Of messages and hashes it removes
// the oldest, as long as they belong to this epoch.
func (s *Store) sweepRows(ctx context.Context, epoch int64, swept *Swept) error {
	err := s.Shrink(ctx, func(t *Tx) error {
		return t.dropBases(`WHERE signed IN (SELECT id FROM prekeys WHERE kind = ? AND epoch = ?)`, kindSigned, epoch)
	})
	if err != nil {
		return err
	}
	err = s.deleteRows(ctx, &swept.Messages, `DELETE FROM messages WHERE row = ?`,
		`SELECT row, length(sealed), customer FROM (SELECT row, sealed, customer, epoch FROM messages ORDER BY row LIMIT ?2) AS oldest WHERE epoch = ?1`,
		epoch, int64(sweepBatch))
	if err != nil {
		return err
	}
	err = s.deleteRows(ctx, &swept.Jobs, textFinish,
		`SELECT id, length(sealed), coalesce(customer, 0) FROM jobs WHERE epoch = ?1 LIMIT ?2`, epoch, int64(sweepBatch))
	if err != nil {
		return err
	}
	if err := s.deleteMediaWhere(ctx, &swept.Others, `SELECT id FROM media WHERE epoch = ? LIMIT 1`, epoch); err != nil {
		return err
	}
	steps := []struct {
		count *int
		text  string
		sums  func(*Tx) error // subtracts what the statement removes from the sum; nil for nothing
	}{
		{&swept.Others, `DELETE FROM prekeys WHERE epoch = ?1 AND ?2 > 0`, func(t *Tx) error {
			return t.eachPreKey(`WHERE epoch = ?`, t.change.subtract, epoch)
		}},
		{&swept.Others, `DELETE FROM seen WHERE row IN (SELECT row FROM seen ORDER BY row LIMIT ?2) AND epoch = ?1`, nil},
		{&swept.Others, `DELETE FROM requests WHERE row IN (SELECT row FROM requests ORDER BY row LIMIT ?2) AND epoch = ?1`, nil},
		{&swept.Others, `DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE epoch = ?1 ORDER BY id LIMIT ?2)`, func(t *Tx) error {
			return t.eachSession(`WHERE epoch = ? ORDER BY id LIMIT ?`, t.change.subtract, epoch, int64(sweepBatch))
		}},
		{&swept.Others, `DELETE FROM devices WHERE id IN (SELECT id FROM devices WHERE epoch = ?1 LIMIT ?2)`, nil},
		{&swept.Others, `DELETE FROM customers WHERE id IN (SELECT id FROM customers WHERE epoch = ?1 LIMIT ?2)`, func(t *Tx) error {
			t.recount = true // what still belongs to a customer is removed with them
			return nil
		}},
	}
	for _, step := range steps {
		if err := s.deleteCounted(ctx, step.count, step.sums, step.text, epoch, int64(sweepBatch)); err != nil {
			return err
		}
	}
	return nil
}

// sweepOld removes what is older than before in epochs that are still readable.
func (s *Store) sweepOld(ctx context.Context, before time.Time, swept *Swept) error {
	err := s.Shrink(ctx, func(t *Tx) error {
		_, err := t.run(textMendJobs)
		return err
	})
	if err != nil {
		return err
	}
	err = s.deleteRows(ctx, &swept.Messages, `DELETE FROM messages WHERE row = ?`,
		`SELECT row, length(sealed), customer FROM (SELECT row, sealed, customer, created FROM messages ORDER BY row LIMIT ?2) AS oldest WHERE created < ?1`,
		toMillis(before), int64(sweepBatch))
	if err != nil {
		return err
	}
	err = s.deleteMediaWhere(ctx, &swept.Others, `SELECT id FROM media WHERE created < ? LIMIT 1`, toMillis(before))
	if err != nil {
		return err
	}
	err = s.deleteAll(ctx, &swept.Others,
		`DELETE FROM requests WHERE row IN (SELECT row FROM requests ORDER BY row LIMIT ?2) AND created < ?1`, toMillis(before), int64(sweepBatch))
	if err != nil {
		return err
	}
	err = s.deleteAll(ctx, &swept.Others,
		`DELETE FROM counts WHERE period IN (SELECT period FROM counts WHERE period < ? LIMIT ?)`, countPeriod(before), int64(sweepBatch))
	if err != nil {
		return err
	}
	return s.deleteRows(ctx, &swept.Jobs, textFinish,
		`SELECT id, length(sealed), coalesce(customer, 0) FROM jobs WHERE created < ?1 LIMIT ?2`, toMillis(before), int64(sweepBatch))
}

// deleteRows deletes the rows that a query names, with their key, length and customer, until it
// names none. One transaction deletes as much as MayShrink allows.
func (s *Store) deleteRows(ctx context.Context, count *int, text, query string, args ...driver.Value) error {
	for n := 1; n > 0; {
		err := s.Shrink(ctx, func(t *Tx) (err error) {
			n, err = t.deleteSome(text, query, args...)
			return err
		})
		if err != nil {
			return err
		}
		*count += n
	}
	return nil
}

// deleteSome deletes rows that a query names, as many as one transaction should, and
// says how many.
func (t *Tx) deleteSome(text, query string, args ...driver.Value) (int, error) {
	var keys []int64
	left := t.shared.batch
	err := t.rows(query, func(r row) error {
		var key, length, customer int64
		r.numbers(&key, &length, &customer)
		if left -= length; left < 0 && len(keys) > 0 {
			return errEnough
		}
		keys = append(keys, key)
		t.use(CustomerID(customer), -length-rowCost)
		return nil
	}, args...)
	if err != nil && !errors.Is(err, errEnough) {
		return 0, err
	}
	for _, key := range keys {
		if _, err := t.run(text, key); err != nil {
			return 0, err
		}
	}
	return len(keys), nil
}

// deleteAll runs a statement that deletes a batch until it deletes nothing.
func (s *Store) deleteAll(ctx context.Context, count *int, text string, args ...driver.Value) error {
	return s.deleteCounted(ctx, count, nil, text, args...)
}

// deleteCounted is deleteAll for rows that are part of the sum: sums subtracts a batch from it
// before the batch is deleted.
func (s *Store) deleteCounted(ctx context.Context, count *int, sums func(*Tx) error, text string, args ...driver.Value) error {
	for {
		var n int64
		err := s.Shrink(ctx, func(t *Tx) (err error) {
			if sums != nil {
				if err := sums(t); err != nil {
					return err
				}
			}
			n, err = t.run(text, args...)
			return err
		})
		if err != nil {
			return err
		}
		if n == 0 {
			return nil
		}
		*count += int(n)
	}
}
