package message

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/signal"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// errIdentity means that no device of the recipient has the identity key that the
// business named.
var errIdentity = errors.New("no device has the identity key that was named")

// identityHash names an identity key to the business: 16 bytes of its SHA-256, for
// which nobody finds a second key.
func identityHash(key []byte) string {
	sum := sha256.Sum256(key)
	return base64.StdEncoding.EncodeToString(sum[:16])
}

// strict says whether only devices that are accepted are written to: under firstUse,
// from the first accepted one on.
func (s *Service) strict(devices []store.Device) bool {
	return s.Account.Trust == omemo.FirstUse && hasAccepted(devices)
}

func hasAccepted(devices []store.Device) bool {
	// Of a damaged one it is not known: it must not open what was closed.
	return slices.ContainsFunc(devices, func(d store.Device) bool { return d.Accepted || d.Damaged })
}

// news returns what to count when a device was admitted, and tells the business: a
// known customer's new device may be the carrier's.
func (s *Service) news(tx *store.Tx, c store.Customer, v *sessions, changed, first bool, key signal.IdentityKey) (Event, error) {
	switch {
	case changed:
		return EventIdentity, s.tellIdentity(tx, c, key, false, true)
	case first && v.known():
		return EventNewDevice, s.tellIdentity(tx, c, key, true, true)
	}
	return "", nil
}

// refused notes the identity key that a device offered and that is not taken, so
// that the business can accept it, and tells it once. Nothing else of the device
// is written.
func (s *Service) refused(tx *store.Tx, c store.Customer, id carrier.DeviceID, key signal.IdentityKey) error {
	devices, err := tx.Devices(c.ID)
	if err != nil {
		return err
	}
	d := store.Device{ID: id, Active: true}
	i := slices.IndexFunc(devices, func(d store.Device) bool { return d.ID == id })
	if i >= 0 {
		d = devices[i]
	}
	if string(d.Offered) == string(key.Bytes()) {
		return nil
	}
	d.Offered = key.Bytes()
	if err := tx.PutDevice(c.ID, d); err != nil {
		return err
	}
	if err := bound(tx, c.ID, id); err != nil { // a carrier that invents devices must not fill the store
		return err
	}
	return s.tellIdentity(tx, c, key, d.IdentityKey == nil, false)
}

func (s *Service) tellIdentity(tx *store.Tx, c store.Customer, key signal.IdentityKey, first, accepted bool) error {
	payload, err := s.Webhook.IdentityPayload(webhook.Identity{
		ID: store.NewMessageID(), Customer: c.Number, Time: s.Now(), Hash: identityHash(key.Bytes()),
		Fingerprint: key.Fingerprint(), NewDevice: first, Accepted: accepted,
	})
	return s.notify(tx, c.ID, "", payload, err)
}

// named returns the device of a customer whose identity key the business named, and
// accepts that key if it was refused until now: naming it is how the business does.
func (s *Service) named(ctx context.Context, c store.Customer, hash string) (id carrier.DeviceID, err error) {
	err = s.Store.Update(ctx, func(tx *store.Tx) error {
		devices, err := tx.Devices(c.ID)
		if err != nil {
			return err
		}
		for _, d := range devices {
			if d.Offered != nil && d.Active && identityHash(d.Offered) == hash {
				id = d.ID
				return s.accept(tx, c, d)
			}
		}
		strict := s.strict(devices)
		for _, d := range devices {
			if d.IdentityKey != nil && d.Active && (d.Accepted || !strict) && identityHash(d.IdentityKey) == hash {
				id = d.ID
				return nil
			}
		}
		return errIdentity
	})
	if err != nil {
		return 0, fmt.Errorf("looking for the identity key: %w", err)
	}
	return id, nil
}

// accept takes the key that a device offered. A session under another key decrypts
// what is late, and nothing is encrypted in it any more.
func (s *Service) accept(tx *store.Tx, c store.Customer, d store.Device) error {
	d.IdentityKey, d.Offered, d.Accepted = d.Offered, nil, true
	if err := tx.PutDevice(c.ID, d); err != nil {
		return err
	}
	view := s.view(tx, c.ID)
	defer view.forget()
	r, err := view.Record(c.Number, d.ID)
	if err != nil || r == nil {
		return err
	}
	return view.PutRecord(c.Number, d.ID, r.Discard(s.Now()))
}

// listed writes which devices a customer has now. Under firstUse the keys of those
// that are new are looked at, so that the business learns of them.
func (s *Service) listed(tx *store.Tx, c store.CustomerID, devices []carrier.DeviceID) error {
	added, err := list(tx, c, devices)
	if err != nil || len(added) == 0 || s.Account.Trust != omemo.FirstUse {
		return err
	}
	known, err := tx.Devices(c)
	if err != nil || !s.strict(known) {
		return err
	}
	for _, d := range added {
		if err := s.enqueue(tx, c, "", task{Kind: kindInspect, Device: d}); err != nil {
			return err
		}
	}
	return nil
}

// inspect fetches the bundle of a device that is not accepted and notes its key.
func (s *Service) inspect(ctx context.Context, c store.Customer, id carrier.DeviceID) error {
	b, err := s.Link.Bundle(ctx, c.Number, id)
	if errors.Is(err, carrier.ErrNotFound) || errors.Is(err, carrier.ErrRejected) {
		return errFinished
	}
	if err != nil {
		return fmt.Errorf("fetching a bundle: %w", err)
	}
	key, err := omemo.Inspect(b)
	if err != nil {
		s.classes.add(omemo.Class(err))
		return errFinished
	}
	err = s.Store.Update(ctx, func(tx *store.Tx) error {
		devices, err := tx.Devices(c.ID)
		if err != nil || !s.strict(devices) {
			return err
		}
		i := slices.IndexFunc(devices, func(d store.Device) bool { return d.ID == id })
		if i < 0 || devices[i].Accepted {
			return nil
		}
		return s.refused(tx, c, id, key)
	})
	if err != nil {
		return err
	}
	s.counts.add(EventUntrusted)
	s.Deliveries()
	return errFinished
}

// begin starts the sessions that lack, and returns the plan without the devices
// whose bundle is no good or whose key is refused.
func (s *Service) begin(tx *store.Tx, c store.Customer, p plan, view *sessions) (plan, error) {
	for d, b := range p.bundles {
		started, err := s.Account.Start(view, c.Number, d, b, s.Now())
		var untrusted *omemo.UntrustedError
		switch {
		case errors.As(err, &untrusted):
			s.counts.add(EventUntrusted)
			s.classes.add(omemo.Class(err))
			if err := s.refused(tx, c, d, untrusted.Identity); err != nil {
				return p, err
			}
			p = p.without(d)
			continue
		case errors.Is(err, omemo.ErrBundle):
			s.classes.add(omemo.Class(err))
			p = p.without(d)
			continue
		case err != nil:
			return p, err
		}
		event, err := s.news(tx, c, view, started.IdentityChanged, started.NewDevice, started.Identity)
		if err != nil {
			return p, err
		}
		if event != "" {
			s.counts.add(event)
		}
	}
	return p, nil
}

// holds says whether the device's current session is with the key that was named.
func (v *sessions) holds(peer phone.Number, d carrier.DeviceID, hash string) (bool, error) {
	key, ok, err := v.Identity(peer, d)
	return ok && identityHash(key.Bytes()) == hash, err
}
