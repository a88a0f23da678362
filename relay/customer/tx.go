package customer

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/signal"
)

// tx is one change of the state: a copy that becomes the state, on disk first,
// when the change succeeds. It is the account's view of its sessions
// (omemo.Sessions).
type tx struct{ data stateJSON }

// update runs a change. An error of fn undoes it.
func (s *State) update(fn func(*tx) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &tx{data: s.data}
	t.data.PreKeys = maps.Clone(s.data.PreKeys)
	t.data.Records = maps.Clone(s.data.Records)
	t.data.Identities = maps.Clone(s.data.Identities)
	t.data.Wrote = maps.Clone(s.data.Wrote)
	if err := fn(t); err != nil {
		return err
	}
	return s.replace(t.data)
}

// address is a peer device's key in the state's maps.
func address(peer phone.Number, d carrier.DeviceID) string {
	return peer.Digits() + "/" + strconv.FormatUint(uint64(d), 10)
}

// omemo2Suffix marks the sessions in OMEMO2, which a device has beside those in Legacy.
const omemo2Suffix = "/2"

// sessions is the key of the sessions with a peer device in a format.
func sessions(peer phone.Number, d carrier.DeviceID, f carrier.Format) string {
	if f == carrier.OMEMO2 {
		return address(peer, d) + omemo2Suffix
	}
	return address(peer, d)
}

// learned returns the devices of a peer with which there is a session in a format. A client that publishes
// no device list is known only from what it sent.
func (s *State) learned(peer phone.Number, f carrier.Format) []carrier.DeviceID {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []carrier.DeviceID
	for a := range s.data.Records {
		a, modern := strings.CutSuffix(a, omemo2Suffix)
		digits, device, _ := strings.Cut(a, "/")
		if digits != peer.Digits() || modern != (f == carrier.OMEMO2) {
			continue
		}
		if id, err := strconv.ParseUint(device, 10, 31); err == nil {
			ids = append(ids, carrier.DeviceID(id))
		}
	}
	return ids
}

// PeerKey is the identity key of one device of a peer.
type PeerKey struct {
	Device      carrier.DeviceID
	Fingerprint string // as OMEMO clients show it
}

// PeerKeys returns the identity keys that are known of a peer's devices, by device.
func (s *State) PeerKeys(peer phone.Number) []PeerKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []PeerKey
	for a, raw := range s.data.Identities {
		digits, device, _ := strings.Cut(a, "/")
		id, err := strconv.ParseUint(device, 10, 31)
		key, keyErr := signal.ParseIdentityKey(raw)
		if digits == peer.Digits() && err == nil && keyErr == nil {
			keys = append(keys, PeerKey{carrier.DeviceID(id), key.Fingerprint()})
		}
	}
	slices.SortFunc(keys, func(a, b PeerKey) int { return int(a.Device) - int(b.Device) })
	return keys
}

// byLife orders a peer's devices by how likely they are in use: first those that wrote, the
// latest first, then those with which there is a session.
func (s *State) byLife(peer phone.Number, devices []carrier.DeviceID) []carrier.DeviceID {
	s.mu.Lock()
	defer s.mu.Unlock()
	ordered := slices.Clone(devices)
	slices.SortStableFunc(ordered, func(a, b carrier.DeviceID) int {
		if c := s.data.Wrote[address(peer, b)].Compare(s.data.Wrote[address(peer, a)]); c != 0 {
			return c
		}
		_, with := s.data.Records[address(peer, a)]
		_, other := s.data.Records[address(peer, b)]
		switch {
		case with == other:
			return 0
		case with:
			return -1
		}
		return 1
	})
	return ordered
}

// wrote notes that a device sent a message that could be opened.
func (t *tx) wrote(peer phone.Number, d carrier.DeviceID, at time.Time) {
	if t.data.Wrote == nil {
		t.data.Wrote = map[string]time.Time{}
	}
	t.data.Wrote[address(peer, d)] = at
}

// stranger says whether a device is new although others of that peer are known. A business has
// one device: another one means that its identity was replaced.
func (t *tx) stranger(peer phone.Number, d carrier.DeviceID) bool {
	if _, known := t.data.Identities[address(peer, d)]; known {
		return false
	}
	for a := range t.data.Identities {
		if digits, _, _ := strings.Cut(a, "/"); digits == peer.Digits() {
			return true
		}
	}
	return false
}

func (t *tx) Record(peer phone.Number, d carrier.DeviceID, f carrier.Format) (*signal.Record, error) {
	raw, ok := t.data.Records[sessions(peer, d, f)]
	if !ok {
		return nil, nil
	}
	return signal.ParseRecord(raw)
}

func (t *tx) PutRecord(peer phone.Number, d carrier.DeviceID, f carrier.Format, r *signal.Record) error {
	raw, err := r.MarshalBinary()
	if err != nil {
		return fmt.Errorf("encoding a session: %w", err)
	}
	t.data.Records[sessions(peer, d, f)] = raw
	return nil
}

func (t *tx) Identity(peer phone.Number, d carrier.DeviceID) (key signal.IdentityKey, ok bool, err error) {
	raw, ok := t.data.Identities[address(peer, d)]
	if !ok {
		return signal.IdentityKey{}, false, nil
	}
	key, err = signal.ParseIdentityKey(raw)
	return key, err == nil, err
}

func (t *tx) PutIdentity(peer phone.Number, d carrier.DeviceID, _ carrier.Format, key signal.IdentityKey) error {
	t.data.Identities[address(peer, d)] = key.Bytes()
	return nil
}

func (t *tx) SignedPreKey(id uint32) (*signal.SignedPreKey, error) {
	k, err := signal.ParseSignedPreKey(t.data.SignedPreKey)
	if err != nil {
		return nil, err
	}
	if k.ID() != id {
		return nil, signal.ErrUnknownPreKey
	}
	return k, nil
}

func (t *tx) PreKey(id uint32) (*signal.PreKey, error) {
	raw, ok := t.data.PreKeys[id]
	if !ok {
		return nil, signal.ErrUnknownPreKey
	}
	return signal.ParsePreKey(raw)
}

// Begin remembers nothing: a one-time pre-key of this customer is deleted when it is used, and
// a session that began without one is answered at once.
func (t *tx) Begin(signal.Begun) error { return nil }

func (t *tx) UsePreKey(id uint32) error {
	delete(t.data.PreKeys, id)
	return nil
}
