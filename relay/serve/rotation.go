package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// How long a former identity or credentials stay valid: for messages that customers encrypted
// before they learned of the next identity, and for a business's programs that still have the
// former credentials.
const (
	identityOverlap = 7 * 24 * time.Hour
	accessOverlap   = 24 * time.Hour
)

// settingRotation is the store's record of what is in force.
const settingRotation = "rotation"

// rotations is that record. A rotation has these steps. A crash may come after any of them, and
// the next start then repeats it:
//
//  1. Vault holds the new identity or credentials (created once; a second creation is
//     refused, and what the first wrote is read).
//  2. One transaction of the store writes the record of the turn and, for an identity, its
//     signed pre-key. Before that commits, the relay acts as before.
//  3. The relay publishes the new bundle, and then a device list that names only the new
//     device; both again on each new link. The first message to each customer begins a new
//     session, because the relay does not write in sessions of the former identity.
//  4. Until the overlap ends, each start reads the former one from Vault and honours it.
type rotations struct {
	Identity turn `json:"identity"`
	Access   turn `json:"access"`
}

// turn is the state of one counter.
type turn struct {
	Number int       `json:"number"` // in force; 0: none yet
	Before int       `json:"before,omitempty"`
	Since  time.Time `json:"since,omitzero"`
}

// to returns the turn after the counter was set to n.
func (t turn) to(n int, now time.Time) (turn, error) {
	switch {
	case t.Number == n:
		return t, nil
	case t.Number == 0:
		return turn{Number: n}, nil
	case t.Number > n:
		return t, fmt.Errorf("%w: it says %d, and %d was in force", errCounterBack, n, t.Number)
	}
	return turn{Number: n, Before: t.Number, Since: now}, nil
}

// former returns the number that was in force before, and until when it is honoured.
func (t turn) former(overlap time.Duration, now time.Time) (n int, until time.Time, ok bool) {
	until = t.Since.Add(overlap)
	return t.Before, until, t.Before > 0 && now.Before(until)
}

// endFormer overwrites the former identity's key once it is not honoured any more.
func (p *parts) endFormer(ctx context.Context) {
	f := &p.keys.former
	if f.account == nil || p.Now().Before(f.accountUntil.Add(time.Minute)) { // nothing is under way any more
		return
	}
	// In an update, since updates use the key: it must not be overwritten while it is used.
	err := p.keys.store.Update(ctx, func(*store.Tx) error {
		f.account.Local.Identity.Destroy()
		return nil
	})
	if err == nil {
		p.Log.LogAttrs(ctx, slog.LevelInfo, "the former identity has ended")
		f.account = nil
	}
}

// rotate puts in force what the counters say. The store must be open and the identity known.
func (r *relay) rotate(ctx context.Context, k *keys) error {
	was, err := readRotations(ctx, k.store)
	if err != nil {
		return err
	}
	var next rotations
	if next.Identity, err = was.Identity.to(r.cfg.Rotation.Identity, r.Now()); err != nil {
		return fmt.Errorf("rotation.identity: %w", err)
	}
	if next.Access, err = was.Access.to(r.cfg.Rotation.Access, r.Now()); err != nil {
		return fmt.Errorf("rotation.access: %w", err)
	}
	if k.access, err = r.accessInForce(ctx, was.Access.Number == next.Access.Number); err != nil {
		return err
	}
	if next != was {
		if err := r.turn(ctx, k, was, next); err != nil {
			return err
		}
	}
	return r.honour(ctx, k, next)
}

// accessInForce reads the credentials, or makes them if there never were any.
func (r *relay) accessInForce(ctx context.Context, had bool) (vault.Access, error) {
	if !had {
		return r.vault.Access(ctx, r.cfg.Rotation.Access)
	}
	access, err := r.vault.KeptAccess(ctx, r.cfg.Rotation.Access)
	if errors.Is(err, vault.ErrNotFound) {
		return access, errAccessMissing
	}
	return access, err
}

// turn is the second step.
func (r *relay) turn(ctx context.Context, k *keys, was, next rotations) error {
	record, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("encoding the record of rotations: %w", err)
	}
	err = k.store.Update(ctx, func(tx *store.Tx) error {
		if next.Identity != was.Identity && next.Identity.Before > 0 {
			if err := message.RenewSignedPreKey(tx, k.account.Local, r.Now()); err != nil {
				return err
			}
		}
		if err := enterRotation(tx, next, r.Now()); err != nil {
			return err
		}
		return tx.PutSetting(settingRotation, record)
	})
	if err != nil {
		return fmt.Errorf("recording a rotation: %w", err)
	}
	r.Log.LogAttrs(ctx, slog.LevelInfo, "in force", slog.Int("identity", next.Identity.Number), slog.Int("access", next.Access.Number))
	return nil
}

// honour reads the former identity and credentials that are still honoured. It skips what is
// gone from Vault or is not ours.
func (r *relay) honour(ctx context.Context, k *keys, t rotations) error {
	gone := func(err error) bool {
		return errors.Is(err, vault.ErrNotFound) || errors.Is(err, vault.ErrForeignContent)
	}
	if n, until, ok := t.Identity.former(identityOverlap, r.Now()); ok {
		id, err := r.vault.ReadIdentity(ctx, n)
		if err == nil {
			k.former.account, err = r.accountOf(id)
			k.former.accountUntil = until
		}
		if err != nil && !gone(err) {
			return err
		}
	}
	if n, until, ok := t.Access.former(accessOverlap, r.Now()); ok {
		access, err := r.vault.KeptAccess(ctx, n)
		if err == nil {
			k.former.access, k.former.accessUntil = &access, until
		}
		if err != nil && !gone(err) {
			return err
		}
	}
	return nil
}

func readRotations(ctx context.Context, s *store.Store) (rotations, error) {
	var record []byte
	err := s.View(ctx, func(tx *store.Tx) (err error) {
		record, err = tx.Setting(settingRotation)
		return err
	})
	if err != nil || record == nil {
		return rotations{}, err
	}
	var t rotations
	if err := json.Unmarshal(record, &t); err != nil {
		return t, errors.New("reading the record of rotations: it is not what this relay writes")
	}
	return t, nil
}
