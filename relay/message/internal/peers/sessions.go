package peers

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/signal"
	"github.com/relaykeep/relaykeep/relay/store"
)

// Sessions is the OMEMO layer's view of one customer's sessions in a transaction.
type Sessions struct {
	tx       *store.Tx
	customer store.CustomerID
	trust    omemo.Trust
	now      time.Time
	// closed says that the customer had accepted devices before this transaction: under
	// firstUse no other is accepted then. Nil until it is needed.
	closed *bool
	// sealed holds, by device, the hash of the identity key that its written record encrypts
	// for.
	sealed map[carrier.DeviceID]string
	// dropped is what Forget zeroes.
	dropped []interface{ Destroy() }
}

// known says whether the customer had accepted devices before this transaction. It works once
// PutIdentity was called.
func (s *Sessions) known() bool { return s.closed != nil && *s.closed }

// wholeRecord is a session record whose Destroy zeroes all of it.
type wholeRecord struct{ *signal.Record }

func (r wholeRecord) Destroy() { r.Record.Destroy(nil) }

// Forget zeroes the keys that the view returned and that it was given. None of them may be
// used afterwards.
func (s *Sessions) Forget() {
	for _, d := range s.dropped {
		d.Destroy()
	}
	s.dropped = nil
}

// View returns the OMEMO layer's view of a customer's sessions in a transaction. Call Forget
// when it is no longer needed.
func (s *Peers) View(tx *store.Tx, c store.CustomerID) *Sessions {
	return &Sessions{tx: tx, customer: c, trust: s.Account.Trust, now: s.Now()}
}

var _ omemo.Sessions = (*Sessions)(nil)

// Record implements omemo.Sessions.
func (s *Sessions) Record(_ phone.Number, d carrier.DeviceID, f carrier.Format) (*signal.Record, error) {
	data, err := s.tx.Record(s.customer, store.SessionsIn(f, d))
	if errors.Is(err, seal.ErrTampered) {
		return nil, nil // a session whose row is damaged is lost: a new one replaces it
	}
	if err != nil || data == nil {
		return nil, err
	}
	r, err := signal.ParseRecord(data)
	clear(data)
	if err != nil {
		return nil, nil //nolint:nilerr // as above
	}
	s.dropped = append(s.dropped, wholeRecord{r})
	return r, nil
}

// PutRecord implements omemo.Sessions.
func (s *Sessions) PutRecord(_ phone.Number, d carrier.DeviceID, f carrier.Format, r *signal.Record) error {
	data, err := r.MarshalBinary()
	if err != nil {
		return fmt.Errorf("encoding a session record: %w", err)
	}
	s.dropped = append(s.dropped, wholeRecord{r})
	if key, ok := r.Identity(); ok {
		if s.sealed == nil {
			s.sealed = map[carrier.DeviceID]string{}
		}
		s.sealed[d] = IdentityHash(key.Bytes())
	}
	err = s.tx.PutRecord(s.customer, store.SessionsIn(f, d), data)
	clear(data)
	return err
}

// Identity implements omemo.Sessions.
func (s *Sessions) Identity(_ phone.Number, d carrier.DeviceID) (signal.IdentityKey, bool, error) {
	known, err := s.tx.Device(s.customer, d)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return signal.IdentityKey{}, false, nil
	case err != nil || known.IdentityKey == nil:
		return signal.IdentityKey{}, false, err
	}
	key, err := signal.ParseIdentityKey(known.IdentityKey)
	return key, err == nil, err
}

// PutIdentity implements omemo.Sessions. Under firstUse all devices that are met in the first
// transaction are accepted; a device that the carrier adds later is refused.
func (s *Sessions) PutIdentity(_ phone.Number, d carrier.DeviceID, f carrier.Format, key signal.IdentityKey) error {
	devices, err := s.tx.Devices(s.customer)
	if err != nil {
		return err
	}
	if s.closed == nil {
		s.closed = new(hasAccepted(devices))
	}
	put := store.Device{ID: d}
	*on(&put, f) = true
	if i := slices.IndexFunc(devices, func(known store.Device) bool { return known.ID == d }); i >= 0 {
		put = devices[i]
	}
	if s.trust == omemo.FirstUse && *s.closed && !put.Accepted {
		return signal.ErrUntrustedIdentity
	}
	put.IdentityKey, put.Accepted, put.Offered = key.Bytes(), true, nil
	return s.tx.PutDevice(s.customer, put)
}

// SignedPreKey implements signal.PreKeySource.
func (s *Sessions) SignedPreKey(id uint32) (*signal.SignedPreKey, error) {
	k, err := s.tx.SignedPreKey(id)
	if err != nil {
		return nil, unknownPreKey(err)
	}
	defer clear(k.Data)
	key, err := signal.ParseSignedPreKey(k.Data)
	if err == nil {
		s.dropped = append(s.dropped, key)
	}
	return key, err
}

// PreKey implements signal.PreKeySource.
func (s *Sessions) PreKey(id uint32) (*signal.PreKey, error) {
	k, err := s.tx.PreKey(id)
	if err != nil {
		return nil, unknownPreKey(err)
	}
	defer clear(k.Data)
	key, err := signal.ParsePreKey(k.Data)
	if err == nil {
		s.dropped = append(s.dropped, key)
	}
	return key, err
}

func unknownPreKey(err error) error {
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, seal.ErrTampered) {
		return signal.ErrUnknownPreKey
	}
	return err
}

// UsePreKey implements omemo.Sessions. The key stays for other customers who chose it.
func (s *Sessions) UsePreKey(id uint32) error { return s.tx.UsePreKey(id, s.now) }

// Begin implements omemo.Sessions.
func (s *Sessions) Begin(b signal.Begun) error {
	first, err := s.tx.SeenBase(b.Base, b.SignedPreKey)
	if err == nil && !first {
		err = fmt.Errorf("the session was begun before, and is lost: %w", signal.ErrUnknownPreKey)
	}
	return err
}

// SameKey says whether the record's session is with the identity key of that hash.
func (s *Sessions) SameKey(r *signal.Record, hash string) bool {
	key, ok := r.Identity()
	return ok && IdentityHash(key.Bytes()) == hash
}
