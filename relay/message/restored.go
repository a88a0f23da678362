package message

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"log/slog"
	"math/big"
	"time"

	"github.com/relaykeep/relaykeep/relay/signal"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// everything is more jobs than a queue holds.
const everything = 1 << 30

// Restored makes a store that is an older copy fit to go on with: what happened
// between the copy and its return is not known. No ratchet in it may move a second
// time, so all sessions and pre-keys go (drop does that, and runs what it is given in
// the same transaction); whether a message that waits in it was sent meanwhile cannot
// be known, so none is sent again, and the business is told of each. Webhooks that
// wait are delivered again, as they always may be.
func (s *Service) Restored(ctx context.Context, drop func(context.Context, func(*store.Tx) error) error) error {
	var failed int
	err := drop(ctx, func(tx *store.Tx) (err error) {
		if err := startPreKeys(tx); err != nil {
			return err
		}
		failed, err = s.failQueued(tx)
		return err
	})
	if err == nil {
		s.Log.LogAttrs(ctx, slog.LevelWarn, "the store was restored from a copy: sessions begin anew", slog.Int("messages failed", failed))
	}
	return err
}

// startPreKeys has one-time pre-keys count on from a random id, so that hardly any
// has the id of one that was published after the copy was made.
func startPreKeys(tx *store.Tx) error {
	n, err := rand.Int(rand.Reader, big.NewInt(int64(signal.MaxPreKeyID)))
	if err != nil {
		return err
	}
	return tx.PutSetting(settingNextPreKey, binary.BigEndian.AppendUint32(nil, uint32(n.Int64())+1))
}

// failQueued ends everything in the outbox and returns how many messages failed.
func (s *Service) failQueued(tx *store.Tx) (failed int, err error) {
	jobs, err := tx.Due(QueueOutbox, s.Now().Add(100*365*24*time.Hour), store.Place{}, everything)
	if err != nil {
		return 0, err
	}
	for _, j := range jobs {
		if j.Message != "" {
			failed++
			err := s.advanceMessage(tx, j.Message, stateFailed, webhook.Undeliverable(
				"The relay was restored from a backup in which this message waited: it may have been sent since. Send it again if the customer has not got it."))
			if err != nil {
				return 0, err
			}
		}
		if err := tx.Finish(j.ID); err != nil {
			return 0, err
		}
	}
	return failed, nil
}
