package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/relaykeep/relaykeep/relay/seal"
)

// checkSum compares the rows with the recorded sum. When they do not match, the store counts
// as restored.
func (s *Store) checkSum(ctx context.Context) error {
	live := s.settings.Live()
	s.sumKey = live[len(live)-1].ID
	var found, recorded sum
	whole := false
	err := s.View(ctx, func(t *Tx) (err error) {
		if err := errors.Join(t.eachSession("", found.add), t.eachPreKey("", found.add), t.eachBase("", found.add)); err != nil {
			return err
		}
		recorded, whole, err = t.recordedSum()
		return err
	})
	if err != nil && !errors.Is(err, seal.ErrTampered) {
		return fmt.Errorf("comparing rows with their sum: %w", err)
	}
	if err != nil || found != recorded || !whole && found != (sum{}) {
		s.tampered.Store(true)
		s.restored.Store(true)
	}
	s.total, s.committed = found, found
	return nil
}

// Tampered says that sessions or pre-keys were put back, exchanged or removed while the store
// was closed. The store is then also Restored.
func (s *Store) Tampered() bool { return s.tampered.Load() }
