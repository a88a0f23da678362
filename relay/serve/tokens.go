package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/relaykeep/relaykeep/relay/access"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
)

// settingTokens is the store's setting that holds the named access tokens.
const settingTokens = "access-tokens"

// tokenStorage keeps the named access tokens in the store. It implements access.Storage.
type tokenStorage struct{ message.Store }

// Load implements access.Storage.
func (s tokenStorage) Load(ctx context.Context) (list []byte, err error) {
	err = s.View(ctx, func(tx *store.Tx) (err error) {
		list, err = tx.Setting(settingTokens)
		return err
	})
	return list, err
}

// Save implements access.Storage. A shorter list can be written to a full volume.
func (s tokenStorage) Save(ctx context.Context, list []byte, shorter bool) error {
	write := s.Update
	if shorter {
		write = s.Shrink
	}
	return translate(write(ctx, func(tx *store.Tx) error { return tx.PutSetting(settingTokens, list) }))
}

// loadTokens reads the named access tokens. A store that was restored from a copy may hold some that were
// revoked since: it keeps none. Nor does one whose list is damaged.
func (p *parts) loadTokens(ctx context.Context) error {
	if p.keys.store.Restored() {
		if err := p.tokens.Clear(ctx); err != nil {
			return err
		}
		p.Log.LogAttrs(ctx, slog.LevelWarn, "the store was restored from a copy: its named access tokens are revoked, create new ones")
		return nil
	}
	err := p.tokens.Load(ctx)
	if errors.Is(err, seal.ErrTampered) || errors.Is(err, access.ErrDamaged) {
		p.Log.LogAttrs(ctx, slog.LevelError, "the list of named access tokens is damaged and none is accepted: create new ones", slog.Any("error", err))
		return nil
	}
	if err != nil {
		return fmt.Errorf("starting: %w", err)
	}
	return nil
}
