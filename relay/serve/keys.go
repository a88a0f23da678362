package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/signal"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// Pauses between attempts to open the keys.
const (
	firstPause = 200 * time.Millisecond
	lastPause  = 10 * time.Second
)

// errOverdue means that the oldest key should have been destroyed by now.
var errOverdue = errors.New("the wrapping key has a version older than the retention")

// keys are what the relay holds from Vault and the store that they open.
type keys struct {
	identity vault.Identity
	access   vault.Access
	account  *omemo.Account
	ring     *seal.Keyring
	store    *store.Store
}

// close closes the store, then forgets the keys.
func (k *keys) close(log *slog.Logger) {
	if err := k.store.Close(); err != nil {
		log.Error("closing the store failed", "error", err)
	}
	k.ring.Close()
	k.account.Local.Identity.Destroy()
}

// retention is how long anything is kept.
func (r *relay) retention() time.Duration {
	return time.Duration(r.cfg.RetentionDays) * 24 * time.Hour
}

// open gets the keys and opens the store, and goes on trying until it has them or
// ctx ends: whoever seals Vault or forgets a policy need not restart relays.
func (r *relay) open(ctx context.Context) (*keys, error) {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		k, err := r.tryOpen(ctx)
		if ctx.Err() != nil {
			if k != nil {
				k.close(r.Log)
			}
			return nil, ctx.Err()
		}
		if r.state.setKeys(err) && err != nil {
			r.Log.LogAttrs(ctx, slog.LevelWarn, "the keys cannot be opened yet", slog.Any("error", err))
		}
		if err == nil {
			return k, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// tryOpen gets the keys and opens the store once.
func (r *relay) tryOpen(ctx context.Context) (*keys, error) {
	k := &keys{}
	var err error
	if k.identity, err = r.vault.Identity(ctx, r.cfg.Rotation.Identity, newIdentity); err != nil {
		return nil, err
	}
	if k.access, err = r.vault.Access(ctx, r.cfg.Rotation.Access); err != nil {
		return nil, err
	}
	pair, err := signal.ParseIdentityKeyPair(k.identity.PrivateKey)
	clear(k.identity.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("reading the identity: %w", vault.ErrForeignContent)
	}
	k.account = &omemo.Account{
		Local: signal.Local{
			Identity: pair,
			// Nothing hangs on it in OMEMO, but it must not change.
			RegistrationID: k.identity.DeviceID%signal.MaxRegistrationID + 1,
		},
		Device: carrier.DeviceID(k.identity.DeviceID),
		Trust:  omemo.Trust(r.cfg.Trust),
	}
	if err := r.openStore(ctx, k); err != nil {
		pair.Destroy()
		return nil, err
	}
	r.state.setIdentity(k.identity, pair.Public().Fingerprint())
	return k, nil
}

func newIdentity() ([]byte, error) {
	pair, err := signal.GenerateIdentityKeyPair()
	if err != nil {
		return nil, err
	}
	defer pair.Destroy()
	return pair.MarshalBinary()
}

// openStore opens the store. It is made before the wrapping key: where there is a
// key, a store that is missing was lost, and is not silently begun anew.
func (r *relay) openStore(ctx context.Context, k *keys) error {
	had, err := r.vault.HasKeys(ctx)
	if err != nil {
		return err
	}
	if !had {
		if err := store.Create(ctx, r.DataDir, k.identity.StoreID); err != nil {
			return err
		}
	}
	if err := r.checkKeys(ctx); err != nil {
		return err
	}
	k.ring = seal.New(r.vault, seal.Period(r.retention()), r.Now)
	k.store, err = store.Open(ctx, r.DataDir, k.identity.StoreID, k.ring, store.MustExist())
	if err != nil {
		k.ring.Close()
	}
	return err
}

// checkKeys makes the wrapping keys where they are missing and refuses to work with
// one that the janitor should have destroyed: what it wraps outlives the promise.
func (r *relay) checkKeys(ctx context.Context) error {
	state, err := r.vault.EnsureKeys(ctx, r.retention())
	if err != nil {
		return err
	}
	now, err := r.vault.Now(ctx)
	if err != nil {
		return err
	}
	oldest := state.Oldest()
	r.state.setOldestKey(oldest.Created)
	if overdue(oldest.Created, r.retention(), now) {
		return errOverdue
	}
	return nil
}

// overdue says whether a key that was made then should be gone by now.
func overdue(made time.Time, retention time.Duration, now time.Time) bool {
	return now.After(made.Add(retention))
}
