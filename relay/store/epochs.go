package store

import (
	"context"
	"fmt"

	"github.com/relaykeep/relaykeep/relay/seal"
)

// epochs returns all epochs, oldest first.
func (t *Tx) epochs() ([]seal.Epoch, error) {
	return t.epochsIn(`SELECT id, created, wrapped FROM epochs ORDER BY id`)
}

func (t *Tx) epochsIn(query string) ([]seal.Epoch, error) {
	var epochs []seal.Epoch
	err := t.rows(query, func(r row) error {
		var id, created int64
		if err := r.integers(&id, &created); err != nil {
			return err
		}
		wrapped, err := r.text(2)
		epochs = append(epochs, seal.Epoch{ID: id, Wrapped: wrapped, Created: fromMillis(created)})
		return err
	})
	return epochs, err
}

// Advance opens a new epoch when one is due, and moves unused pre-keys, which must outlive
// their epoch, into the current one. Call it every minute or so. After an error the present
// epoch stays in use: what is written meanwhile only dies earlier.
func (s *Store) Advance(ctx context.Context) error {
	s.advance.Lock()
	defer s.advance.Unlock()
	if s.keys.Due() {
		if err := s.openEpoch(ctx); err != nil {
			return err
		}
	}
	current, err := s.keys.Current()
	if err != nil {
		return err
	}
	return s.renew(ctx, current)
}

// openEpoch makes a new epoch durable before anything is sealed in it.
func (s *Store) openEpoch(ctx context.Context) error {
	e, err := s.keys.Next(ctx)
	if err != nil {
		return fmt.Errorf("opening an epoch: %w", err)
	}
	err = s.Update(ctx, func(t *Tx) error {
		_, err := t.run(`INSERT INTO epochs (id, wrapped, created) VALUES (?, ?, ?)`, e.ID, e.Wrapped, toMillis(e.Created))
		return err
	})
	if err != nil {
		return fmt.Errorf("recording epoch %d: %w", e.ID, err)
	}
	// Between two callbacks, so that no callback seals one row in the old epoch and another
	// that belongs to it in the new one.
	return s.Update(ctx, func(*Tx) error { return s.keys.Adopt(e.ID) })
}

// renew moves what must outlive its epoch. It checks before it uses the writer, because there
// is rarely something to do. After a crash behind openEpoch the next call does it.
func (s *Store) renew(ctx context.Context, current int64) error {
	var old int64
	err := s.View(ctx, func(t *Tx) (err error) {
		old, err = t.integer(`SELECT count(*) FROM prekeys WHERE epoch < ? AND kind < ?`, current, kindUsed)
		return err
	})
	if err != nil || old == 0 {
		return err
	}
	return s.Update(ctx, func(t *Tx) error { return t.renewKeys(current) })
}
