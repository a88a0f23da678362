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

// How long what was rotated away stays valid: messages that customers encrypted to an
// identity before they learned of the next, and a business's programs that still have
// the credentials before.
const (
	identityOverlap = 7 * 24 * time.Hour
	accessOverlap   = 24 * time.Hour
)

// settingRotation is the store's record of what is in force.
const settingRotation = "rotation"

// rotations is that record. Rotating goes through these steps; each may be the last
// before a crash, and is then taken again by the next start:
//
//  1. Vault holds the new identity or credentials (created once; a second creation is
//     refused, and what the first wrote is read).
//  2. One transaction of the store holds the record of the turn and, for an identity,
//     a signed pre-key of its own. Before it commits the relay acts as before.
//  3. The carrier is given the new bundle, and then a device list that names the new
//     device alone; both again at each new link. A new session begins with the first
//     message to each customer, for those with the former identity are not written in.
//  4. Until the overlap's end, the former is read from Vault at each start and honoured.
type rotations struct {
	Identity turn `json:"identity"`
	Access   turn `json:"access"`
}

// turn is where one counter stands.
type turn struct {
	Number int       `json:"number"` // in force; 0: none was yet
	Before int       `json:"before,omitempty"`
	Since  time.Time `json:"since,omitzero"`
}

// to returns the turn once the counter says n.
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

// former returns what was in force before, and until when it is honoured.
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
	// Where it is used, so that it is not overwritten in the midst of that.
	err := p.keys.store.Update(ctx, func(*store.Tx) error {
		f.account.Local.Identity.Destroy()
		return nil
	})
	if err == nil {
		p.Log.LogAttrs(ctx, slog.LevelInfo, "the former identity has ended")
		f.account = nil
	}
}

// rotate brings what is in force to what the counters say. The store is open and the
// identity is at hand.
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

// accessInForce reads the credentials, or makes them where they never were.
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
		return tx.PutSetting(settingRotation, record)
	})
	if err != nil {
		return fmt.Errorf("recording a rotation: %w", err)
	}
	r.Log.LogAttrs(ctx, slog.LevelInfo, "in force", slog.Int("identity", next.Identity.Number), slog.Int("access", next.Access.Number))
	return nil
}

// honour reads what was rotated away and is honoured still. What is gone from Vault
// or is nothing of ours is not.
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
