package inbound

import (
	"context"
	"errors"
	"fmt"

	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
)

// settingArchive names how far the carrier's archive was read.
const settingArchive = "archive-position"

// Position returns how far the carrier's archive of our account was read, as SetPosition last
// stored it; empty when it never did.
func (s *Inbound) Position(ctx context.Context) (id string, err error) {
	err = s.Store.View(ctx, func(tx *store.Tx) error {
		saved, err := tx.Setting(settingArchive)
		if errors.Is(err, seal.ErrTampered) { // a position that no archive has, so that it is read from its oldest message
			saved, err = []byte("damaged"), nil
		}
		id = string(saved)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("reading the position in the archive: %w", err)
	}
	return id, nil
}

// SetPosition stores how far the archive was read: everything up to there is stored.
func (s *Inbound) SetPosition(ctx context.Context, id string) error {
	err := s.Store.Update(ctx, func(tx *store.Tx) error { return tx.PutSetting(settingArchive, []byte(id)) })
	if err != nil {
		return fmt.Errorf("keeping the position in the archive: %w", err)
	}
	return nil
}
