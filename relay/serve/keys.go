package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/signal"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// open gets the keys and opens the store, and retries until it succeeds or ctx ends: nobody has
// to restart relays after Vault was sealed or a policy was missing.
func (r *relay) open(ctx context.Context) (*keys, error) {
	return backoff.Retry(ctx, func() (*keys, error) {
		if r.door != nil {
			r.standBy(ctx)
		}
		k, err := r.tryOpen(ctx)
		if ctx.Err() != nil {
			if k != nil {
				k.close(r.Log)
			}
			return nil, ctx.Err()
		}
		if r.state.setKeys(err) && err != nil {
			r.Log.LogAttrs(ctx, slog.LevelWarn, "cannot open the keys yet, retrying", slog.Any("error", err))
		}
		return k, err
	}, patiently()...)
}

// tryOpen gets the keys and opens the store once.
func (r *relay) tryOpen(ctx context.Context) (*keys, error) {
	k := &keys{}
	if err := r.fill(ctx, k); err != nil {
		k.close(r.Log)
		return nil, err
	}
	shown := k.identity
	shown.BusinessAccountID = r.accountID(k.identity)
	r.state.setIdentity(shown, k.account.Local.Identity.Public().Fingerprint())
	return k, nil
}

func (r *relay) fill(ctx context.Context, k *keys) error {
	if r.onServer() {
		if err := r.findOwnAddress(ctx); err != nil {
			return err
		}
	}
	if err := r.checkOwner(ctx); err != nil {
		return err
	}
	found, err := r.findIdentity(ctx)
	if err != nil {
		return err
	}
	k.identity = found.Identity
	if k.account, err = r.accountOf(k.identity); err != nil {
		return err
	}
	if err := r.openStore(ctx, k, found.begin); err != nil {
		return err
	}
	if err := r.rotate(ctx, k); err != nil {
		return err
	}
	k.encryption, err = r.payloadEncryption(ctx, k.store)
	return err
}

// accountOf makes an identity's OMEMO account, and overwrites the identity's key.
func (r *relay) accountOf(id vault.Identity) (*omemo.Account, error) {
	pair, err := signal.ParseIdentityKeyPair(id.PrivateKey)
	clear(id.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("reading the identity: %w", vault.ErrForeignContent)
	}
	own, err := phone.Parse(r.cfg.PhoneNumber)
	if err != nil {
		return nil, fmt.Errorf("reading the business's number: %w", err)
	}
	return &omemo.Account{
		Local: signal.Local{
			Identity: pair,
			// OMEMO does not use it, but it must not change.
			RegistrationID: id.DeviceID%signal.MaxRegistrationID + 1,
		},
		Device:  carrier.DeviceID(id.DeviceID),
		Trust:   omemo.Trust(r.cfg.Trust),
		Address: func(n phone.Number) string { return n.Local() + "@" + r.cfg.Carrier.XMPP.Domain },
		Own:     own,
	}, nil
}

func newIdentity() ([]byte, error) {
	pair, err := signal.GenerateIdentityKeyPair()
	if err != nil {
		return nil, err
	}
	defer pair.Destroy()
	return pair.MarshalBinary()
}

// openStore opens the store, after it was moved if it must be; with begin it makes the store first. The store is made before the
// wrapping key: if there is a key but no store, the store was lost, and must not be silently
// replaced by an empty one.
func (r *relay) openStore(ctx context.Context, k *keys, begin bool) error {
	if err := r.moveStore(ctx, k.identity.StoreID); err != nil {
		return err
	}
	if begin {
		if err := store.Create(ctx, r.DataDir, k.identity.StoreID, r.place()...); err != nil {
			return err
		}
	}
	if err := r.checkKeys(ctx); err != nil {
		return err
	}
	k.ring = seal.New(r.vault, seal.Period(r.retention()), r.Now)
	options := append(r.place(), store.MustExist(), store.SettingsKey(r.vault.Settings()), store.Country(r.cfg.Country))
	options = append(options, r.StoreOptions...)
	if r.cfg.NoStorage {
		options = append(options, message.ContentInMemory(contentLife))
	}
	opened, err := store.Open(ctx, r.DataDir, k.identity.StoreID, k.ring, options...)
	if err == nil {
		k.store = opened
	}
	return err
}

// contentLife is how long content is kept at most in a relay without storage, as in the hosted API.
const contentLife = time.Hour

// checkKeys makes the wrapping keys if they are missing. It refuses to work with a key that the
// janitor should have destroyed: what it wraps would outlive the retention.
func (r *relay) checkKeys(ctx context.Context) error {
	state, err := r.vault.EnsureKeys(ctx, r.retention())
	if err != nil {
		return err
	}
	now, err := r.askTime(ctx)
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

// askTime asks Vault for the time. From then on the node's clock counts only while it agrees
// with that.
func (r *relay) askTime(ctx context.Context) (time.Time, error) {
	now, err := r.vault.Now(ctx)
	if err != nil {
		return now, err
	}
	now = now.Add(r.VaultOffset())
	r.clock.Set(now)
	r.noteSkew()
	return now, nil
}

// noteSkew notes whether the node's clock and Vault's are too far apart.
func (r *relay) noteSkew() {
	var skew error
	if r.clock.Skewed() {
		skew = errClock
	}
	r.state.setSkew(skew)
}

// recheck asks Vault whether the keys in memory still exist, and overwrites those that do not:
// no key that the janitor or an erasure destroyed survives in this process. It makes no keys. It
// also compares the clocks.
func (r *relay) recheck(ctx context.Context, k *keys) error {
	erased, err := k.ring.Recheck(ctx)
	if len(erased) > 0 {
		r.Log.LogAttrs(ctx, slog.LevelInfo, "forgot data keys that Vault has erased", slog.Int("epochs", len(erased)))
	}
	if errors.Is(err, vault.ErrNotFound) {
		for _, e := range k.ring.Live() {
			k.ring.Forget(e.ID)
		}
		r.state.setErased()
		r.Log.LogAttrs(ctx, slog.LevelError, "the tenant's keys were erased in Vault: nothing is readable any more")
		return errErased
	}
	if err != nil {
		return err
	}
	if _, err := r.askTime(ctx); err != nil {
		return err
	}
	r.state.setOverdue(r.outlived(k.ring.Live()))
	return nil
}

// outlived returns errOverdue when a data key that should be gone can still be unwrapped. It
// does not list the wrapping key's own versions: the call that a relay may use for that makes a
// key if there is none, and the key may just have been erased.
func (r *relay) outlived(live []seal.Epoch) error {
	if len(live) > 0 && overdue(live[len(live)-1].Created, r.retention(), r.Now()) {
		return errOverdue
	}
	return nil
}

// overdue says whether a key that was made then should be gone by now.
func overdue(made time.Time, retention time.Duration, now time.Time) bool {
	return now.After(made.Add(retention))
}
