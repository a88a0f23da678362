package store

import (
	"context"
	"fmt"

	"github.com/relaykeep/relaykeep/relay/seal"
)

// openSettings unwraps the settings' data keys. It opens a new one when there is none, or when
// the last one has sealed half of what it may.
func (s *Store) openSettings(ctx context.Context) error {
	var keys []seal.Epoch
	err := s.View(ctx, func(t *Tx) (err error) {
		keys, err = t.epochsIn(`SELECT id, created, wrapped FROM settings_keys ORDER BY id`)
		return err
	})
	if err != nil {
		return fmt.Errorf("reading the settings' keys: %w", err)
	}
	erased, err := s.settings.Load(ctx, keys)
	if err != nil {
		return fmt.Errorf("opening the settings: %w", err)
	}
	if len(erased) > 0 {
		return fmt.Errorf("opening the settings: %w", seal.ErrErased)
	}
	if !s.settings.Due() {
		return nil
	}
	e, err := s.settings.Next(ctx)
	if err != nil {
		return fmt.Errorf("opening the settings: %w", err)
	}
	err = s.Update(ctx, func(t *Tx) error {
		_, err := t.run(`INSERT INTO settings_keys (id, wrapped, created) VALUES (?, ?, ?)`, e.ID, e.Wrapped, toMillis(e.Created))
		return err
	})
	if err != nil {
		return fmt.Errorf("recording the settings' key: %w", err)
	}
	return s.settings.Adopt(e.ID)
}
