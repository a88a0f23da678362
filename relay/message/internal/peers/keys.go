package peers

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/signal"
	"github.com/relaykeep/relaykeep/relay/store"
)

const (
	// preKeys is how many one-time pre-keys are published (XEP-0384: 100).
	preKeys = 100
	// signedAge is how long a signed pre-key is published.
	signedAge = 7 * 24 * time.Hour
	// publishPause is the least time between two publications: many customers may begin
	// sessions at once.
	publishPause = 2 * time.Second
	// publishRetry is how long to wait after a publication failed.
	publishRetry = 10 * time.Second
	// rotationCheck is how often the signed pre-key's age is checked.
	rotationCheck = time.Hour

	// keepUsed is how long a used one-time pre-key is kept after it was last published:
	// clients fetch keys when a chat is opened and may write much later.
	keepUsed = 7 * 24 * time.Hour
	// maxUsed is how many used pre-keys are kept at most.
	maxUsed = 10_000

	settingNextPreKey = "next-prekey"
)

// PublishSoon makes KeepPublished publish our devices and keys.
func (s *Peers) PublishSoon() {
	select {
	case s.dirty <- struct{}{}:
	default:
	}
}

// KeepPublished publishes our keys whenever they change and rotates the signed pre-key.
func (s *Peers) KeepPublished(ctx context.Context) error {
	timer := time.NewTicker(rotationCheck)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.dirty:
		case <-timer.C:
		}
		// Noted before looking, so that Connected asks again whichever comes first.
		s.owed.Store(true)
		if !s.link.usable() {
			continue
		}
		s.owed.Store(false)
		pause := publishPause
		if err := s.publish(ctx); err != nil && ctx.Err() == nil {
			if !errors.Is(err, carrier.ErrOffline) {
				s.Log.LogAttrs(ctx, slog.LevelWarn, "publishing our keys failed", slog.Any("error", err))
				pause = publishRetry
			}
			s.PublishSoon()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// publish publishes our bundle, and then the device list that leads to it, in each format. All bundles
// hold the same one-time pre-keys: one that was used in a format leaves all of them. A server that refuses
// those of OMEMO2 for good does not keep customers from those of Legacy.
func (s *Peers) publish(ctx context.Context) error {
	bundles, err := s.bundles(ctx)
	if err != nil {
		return fmt.Errorf("preparing our bundle: %w", err)
	}
	for _, b := range bundles {
		err := s.publishIn(ctx, b)
		if b.Format != carrier.Legacy && errors.Is(err, carrier.ErrRejected) {
			s.Log.LogAttrs(ctx, slog.LevelWarn, "the carrier refuses our keys for omemo:2", slog.Any("error", err))
			continue
		}
		if err != nil {
			return err
		}
	}
	if err := s.published(ctx, bundles[0]); err != nil {
		return fmt.Errorf("noting what is published: %w", err)
	}
	s.shown.Store(true)
	return nil
}

// Published says whether the carrier has our keys: without them no customer can write to us.
func (s *Peers) Published() bool { return s.shown.Load() }

// publishIn publishes our bundle and our device list in a bundle's format.
func (s *Peers) publishIn(ctx context.Context, b carrier.Bundle) error {
	if err := s.Carrier.PublishBundle(ctx, s.Account.Device, b); err != nil {
		return fmt.Errorf("publishing our bundle: %w", err)
	}
	if err := s.Carrier.PublishDevices(ctx, b.Format, []carrier.DeviceID{s.Account.Device}); err != nil {
		return fmt.Errorf("publishing our device list: %w", err)
	}
	return nil
}

// published notes that the carrier publishes a bundle now. A used key that is not in it is
// deleted once keepUsed has passed and everything that waited for us until then has been read;
// the carrier's answer shows that the link is up. An attempt without an answer may have
// published keys, but they are in the next bundle, too, or were used since.
func (s *Peers) published(ctx context.Context, b carrier.Bundle) error {
	ids := make([]uint32, 0, len(b.PreKeys))
	for _, k := range b.PreKeys {
		ids = append(ids, k.ID)
	}
	return s.Store.Update(ctx, func(tx *store.Tx) error {
		now := s.Now()
		if err := tx.WithdrawPreKeys(ids, now); err != nil || !s.link.current() {
			return err
		}
		return tx.DropWithdrawn(now.Add(-keepUsed))
	})
}

// bundles fills up our pre-keys and returns what to publish, Legacy's bundle first.
func (s *Peers) bundles(ctx context.Context) (all []carrier.Bundle, err error) {
	err = s.Store.Update(ctx, func(tx *store.Tx) error {
		signed, err := s.signedPreKey(tx)
		if err != nil {
			return err
		}
		if err := errors.Join(tx.BoundUsed(maxUsed), s.fillPreKeys(tx)); err != nil {
			return err
		}
		rows, err := tx.PreKeys()
		if err != nil {
			return err
		}
		pre := make([]*signal.PreKey, 0, len(rows))
		for _, row := range rows {
			k, err := signal.ParsePreKey(row.Data)
			clear(row.Data)
			if err != nil {
				return fmt.Errorf("reading a pre-key: %w", err)
			}
			defer k.Destroy()
			pre = append(pre, k)
		}
		defer signed.Destroy()
		all = []carrier.Bundle{s.Account.Bundle(signed, pre)}
		if slices.Contains(s.Account.Formats(), carrier.OMEMO2) {
			b, err := s.Account.BundleOMEMO2(signed, pre)
			if err != nil {
				return err
			}
			all = append(all, b)
		}
		return nil
	})
	return all, err
}

// signedPreKey returns the signed pre-key to publish: a new one each week. Older ones stay for
// late messages, but not longer than the retention.
func (s *Peers) signedPreKey(tx *store.Tx) (*signal.SignedPreKey, error) {
	rows, err := tx.SignedPreKeys()
	if err != nil {
		return nil, err
	}
	now := s.Now()
	var newest store.Key
	for _, row := range rows {
		if row.Created.After(newest.Created) {
			newest = row
		}
	}
	for _, row := range rows {
		if row.ID != newest.ID && now.Sub(row.Created) > signedAge+s.Retention {
			if err := tx.DeleteSignedPreKey(row.ID); err != nil {
				return nil, err
			}
		}
	}
	if newest.ID != 0 && now.Sub(newest.Created) < signedAge {
		return signal.ParseSignedPreKey(newest.Data)
	}
	return newSignedPreKey(tx, newest.ID%signal.MaxPreKeyID+1, s.Account.Local, now)
}

func newSignedPreKey(tx *store.Tx, id uint32, l signal.Local, now time.Time) (*signal.SignedPreKey, error) {
	k, err := signal.GenerateSignedPreKey(id, l.Identity, now)
	if err != nil {
		return nil, err
	}
	data, err := k.MarshalBinary()
	if err != nil {
		return nil, err
	}
	defer clear(data)
	return k, tx.PutSignedPreKey(store.Key{ID: k.ID(), Data: data, Created: now})
}

// RenewSignedPreKey makes the signed pre-key that a new identity publishes. The last one is
// signed by the former identity, and stays for late messages.
func RenewSignedPreKey(tx *store.Tx, l signal.Local, now time.Time) error {
	rows, err := tx.SignedPreKeys()
	if err != nil {
		return err
	}
	id := uint32(0)
	for _, row := range rows {
		id = max(id, row.ID)
		if row.Created.After(now) { // the newest one is published, so this one must be newer
			now = row.Created.Add(time.Millisecond)
		}
	}
	_, err = newSignedPreKey(tx, id%signal.MaxPreKeyID+1, l, now)
	return err
}

// fillPreKeys makes the missing one-time pre-keys. No id is used again before all have been
// used, and then not the id of a key that is still kept.
func (s *Peers) fillPreKeys(tx *store.Tx) error {
	n, err := tx.PreKeyCount()
	if err != nil || n >= preKeys {
		return err
	}
	next := uint32(1)
	saved, err := tx.Setting(settingNextPreKey)
	switch {
	case errors.Is(err, seal.ErrTampered): // one that was hardly used, as nobody knows which were
		next = rand.Uint32N(signal.MaxPreKeyID) + 1
	case err != nil:
		return err
	case len(saved) == 4:
		next = binary.BigEndian.Uint32(saved)
	}
	for now := s.Now(); n < preKeys; next = next%signal.MaxPreKeyID + 1 {
		if kept, err := tx.HasPreKey(next); err != nil {
			return err
		} else if kept {
			continue
		}
		if err := newPreKey(tx, next, now); err != nil {
			return err
		}
		n++
	}
	return tx.PutSetting(settingNextPreKey, binary.BigEndian.AppendUint32(nil, next))
}

func newPreKey(tx *store.Tx, id uint32, now time.Time) error {
	fresh, err := signal.GeneratePreKeys(id, 1)
	if err != nil {
		return err
	}
	k := fresh[0]
	defer k.Destroy()
	data, err := k.MarshalBinary()
	if err != nil {
		return err
	}
	defer clear(data)
	return tx.PutPreKey(store.Key{ID: id, Data: data, Created: now})
}
