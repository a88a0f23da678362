package message

import (
	"context"
	"log/slog"

	"github.com/relaykeep/relaykeep/relay/message/internal/peers"
	"github.com/relaykeep/relaykeep/relay/store"
)

// Restored makes a store that is an older copy fit to go on with: what happened
// between the copy and its return is not known. No ratchet in it may move a second
// time, so all sessions and pre-keys go (drop does that, and runs what it is given in
// the same transaction); whether a message that waits in it was sent meanwhile cannot
// be known, so none is sent again, and the business is told of each. Webhooks that
// wait are delivered again, as they always may be.
func (s *Service) Restored(ctx context.Context, drop func(context.Context, func(*store.Tx) error) error) error {
	var failed int
	err := drop(ctx, func(tx *store.Tx) (err error) {
		if err := peers.StartPreKeys(tx); err != nil {
			return err
		}
		failed, err = s.outbound.FailQueued(tx)
		return err
	})
	if err == nil {
		s.base.Log.LogAttrs(ctx, slog.LevelWarn, "the store was restored from a copy: new sessions begin", slog.Int("messages failed", failed))
	}
	return err
}
