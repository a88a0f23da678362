package omemo

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/signal"
)

// Started is what starting a session changed.
type Started struct {
	// IdentityChanged says that the device's bundle names another identity key than
	// before, and that the new one is on record now.
	IdentityChanged bool
	// NewDevice says that the device had no identity key on record before.
	NewDevice bool
	// Identity is the key that the bundle names and is signed by.
	Identity signal.IdentityKey
}

// Start makes a session with a peer's device from a bundle that was fetched
// (X3DH) and writes it to s; an older session with the device stays for its late
// messages. The next Seal sends a pre-key message.
//
// ErrBundle means that the bundle cannot be used, and an *UntrustedError that the account does not
// accept the device's identity key. Nothing is written in either case.
func (a *Account) Start(s Sessions, peer phone.Number, d carrier.DeviceID, b carrier.Bundle, now time.Time) (Started, error) {
	if d < 1 || d > maxDeviceID {
		return Started{}, fmt.Errorf("%w: device id is out of range", ErrBundle)
	}
	bundle, err := parseBundle(b)
	if err != nil {
		return Started{}, err
	}
	record, err := s.Record(peer, d, b.Format)
	if err != nil {
		return Started{}, fmt.Errorf("reading a session: %w", err)
	}
	record, err = signal.Initiate(a.Local, record, bundle, now)
	if err != nil {
		return Started{}, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	changed, first, err := a.admit(s, peer, d, b.Format, bundle.Identity)
	if err != nil {
		return Started{}, err
	}
	if err := s.PutRecord(peer, d, b.Format, record); err != nil {
		return Started{}, fmt.Errorf("keeping a session: %w", err)
	}
	return Started{IdentityChanged: changed, NewDevice: first, Identity: bundle.Identity}, nil
}

// Inspect checks a bundle and returns the identity key that signed it (ErrBundle).
func Inspect(b carrier.Bundle) (signal.IdentityKey, error) {
	bundle, err := parseBundle(b)
	return bundle.Identity, err
}

// parseBundle checks a published bundle and picks one of its one-time pre-keys at random, so that
// two peers that start at once rarely pick the same one. It skips malformed one-time keys: they are
// not signed, and a session without one is still a session (X3DH, section 3.3), but for OMEMO2, which
// forbids it.
func parseBundle(b carrier.Bundle) (signal.Bundle, error) {
	parseIdentity, parsePublic := signal.ParseIdentityKey, signal.ParsePublicKey
	if b.Format == carrier.OMEMO2 {
		parseIdentity, parsePublic = signal.ParseEdwardsIdentityKey, signal.ParseCoordinate
	}
	identity, err := parseIdentity(b.IdentityKey)
	if err != nil {
		return signal.Bundle{}, fmt.Errorf("%w: identity key: %w", ErrBundle, err)
	}
	signed, err := parsePublic(b.SignedPreKey.Public)
	if err != nil {
		return signal.Bundle{}, fmt.Errorf("%w: signed pre-key: %w", ErrBundle, err)
	}
	out := signal.Bundle{Format: formatOf(b.Format), Identity: identity, SignedPreKeyID: b.SignedPreKey.ID, SignedPreKey: signed}
	if copy(out.Signature[:], b.Signature) != len(out.Signature) || len(b.Signature) != len(out.Signature) {
		return signal.Bundle{}, fmt.Errorf("%w: signature is not %d bytes", ErrBundle, len(out.Signature))
	}
	out.PreKeyID, out.PreKey = pickPreKey(b.PreKeys, parsePublic)
	if err := out.Verify(); err != nil {
		return signal.Bundle{}, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	return out, nil
}

// pickPreKey returns a well-formed one-time pre-key, or id 0 when there is none.
// The choice need not be unpredictable: the peer sees it anyway.
func pickPreKey(keys []carrier.PreKey, parse func([]byte) (signal.PublicKey, error)) (uint32, signal.PublicKey) {
	keys = keys[:min(len(keys), MaxPreKeys)]
	for _, i := range rand.Perm(len(keys)) {
		if keys[i].ID < 1 {
			continue
		}
		if p, err := parse(keys[i].Public); err == nil {
			return keys[i].ID, p
		}
	}
	return 0, signal.PublicKey{}
}
