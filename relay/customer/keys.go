package customer

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/signal"
)

const (
	// preKeys is how many one-time pre-keys are published (XEP-0384: 100).
	preKeys = 100
	// signedPreKeyID is the id of the only signed pre-key. It is never rotated, since this
	// customer lives only for a chat or a test.
	signedPreKeyID = 1
)

// newState makes keys, a device and a password for a number.
func newState(number phone.Number, now time.Time) (stateJSON, error) {
	identity, err := signal.GenerateIdentityKeyPair()
	if err != nil {
		return stateJSON{}, fmt.Errorf("making an identity key: %w", err)
	}
	signed, err := signal.GenerateSignedPreKey(signedPreKeyID, identity, now)
	if err != nil {
		return stateJSON{}, fmt.Errorf("making a signed pre-key: %w", err)
	}
	registration, err := signal.GenerateRegistrationID()
	if err != nil {
		return stateJSON{}, fmt.Errorf("making a registration id: %w", err)
	}
	data := stateJSON{
		Version: stateVersion, Number: number.Local(), Password: rand.Text(),
		Device:         carrier.DeviceID(1 + randomUint32()%(1<<31-1)),
		RegistrationID: registration,
		PreKeys:        map[uint32][]byte{},
		NextPreKey:     1,
		Records:        map[string][]byte{},
		Identities:     map[string][]byte{},
	}
	if data.Identity, err = identity.MarshalBinary(); err != nil {
		return stateJSON{}, fmt.Errorf("encoding the identity key: %w", err)
	}
	if data.SignedPreKey, err = signed.MarshalBinary(); err != nil {
		return stateJSON{}, fmt.Errorf("encoding the signed pre-key: %w", err)
	}
	return data, nil
}

// randomUint32 is even enough: the bias of a modulus of 2^31-1 is one in 2^31.
func randomUint32() uint32 {
	var b [4]byte
	rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint32(b[:])
}

// account returns the OMEMO account that the state describes.
func (d *stateJSON) account() (omemo.Account, error) {
	identity, err := signal.ParseIdentityKeyPair(d.Identity)
	if err != nil {
		return omemo.Account{}, fmt.Errorf("%w: identity key: %w", ErrState, err)
	}
	return omemo.Account{
		Local:  signal.Local{Identity: identity, RegistrationID: d.RegistrationID},
		Device: d.Device,
		Trust:  omemo.Blind,
	}, nil
}

// bundles fills up the one-time pre-keys and returns what to publish in each format.
func (s *State) bundles(formats []carrier.Format) (all []carrier.Bundle, err error) {
	err = s.update(func(t *tx) error {
		signed, err := t.SignedPreKey(signedPreKeyID)
		if err != nil {
			return fmt.Errorf("reading the signed pre-key: %w", err)
		}
		pre, err := t.fillPreKeys()
		if err != nil {
			return err
		}
		all = nil
		for _, f := range formats {
			b := s.account.Bundle(signed, pre)
			if f == carrier.OMEMO2 {
				if b, err = s.account.BundleOMEMO2(signed, pre); err != nil {
					return err
				}
			}
			all = append(all, b)
		}
		return nil
	})
	return all, err
}

// fillPreKeys makes the missing one-time pre-keys and returns all, by id.
func (t *tx) fillPreKeys() ([]*signal.PreKey, error) {
	if missing := preKeys - len(t.data.PreKeys); missing > 0 {
		if t.data.NextPreKey+preKeys > signal.MaxPreKeyID {
			t.data.NextPreKey = 1
		}
		fresh, err := signal.GeneratePreKeys(t.data.NextPreKey, missing)
		if err != nil {
			return nil, fmt.Errorf("making pre-keys: %w", err)
		}
		for _, k := range fresh {
			raw, err := k.MarshalBinary()
			if err != nil {
				return nil, fmt.Errorf("encoding a pre-key: %w", err)
			}
			t.data.PreKeys[k.ID()] = raw
		}
		t.data.NextPreKey += uint32(missing)
	}
	all := make([]*signal.PreKey, 0, len(t.data.PreKeys))
	for _, id := range slices.Sorted(maps.Keys(t.data.PreKeys)) {
		k, err := t.PreKey(id)
		if err != nil {
			return nil, fmt.Errorf("reading a pre-key: %w", err)
		}
		all = append(all, k)
	}
	return all, nil
}
