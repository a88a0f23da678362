package message

import (
	"context"
	"log/slog"

	"github.com/relaykeep/relaykeep/relay/message/internal/peers"
	"github.com/relaykeep/relaykeep/relay/store"
)

// Restored makes an older copy of the store usable: nobody knows what happened after the copy
// was made. No ratchet in it may advance a second time, so all sessions and pre-keys are
// dropped (drop does that, and runs what it is given in the same transaction). A message that
// waits in it may have been sent meanwhile, so none is sent again, and the business is told
// about each. Webhooks that wait are delivered again, as they always may be.
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
