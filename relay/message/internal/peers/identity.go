package peers

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/signal"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// News returns what to count when a device was accepted, and tells the business: a known
// customer's new device may be the carrier's.
func (s *Peers) News(tx *store.Tx, c store.Customer, v *Sessions, changed, first bool, key signal.IdentityKey) (base.Event, error) {
	switch {
	case changed:
		return base.EventIdentity, s.tellIdentity(tx, c, key, false, true)
	case first && v.known():
		return base.EventNewDevice, s.tellIdentity(tx, c, key, true, true)
	}
	return "", nil
}

// Refused notes an identity key that a device offered and that is not accepted, so that the
// business can accept it, and tells the business once. Nothing else about the device is
// written.
func (s *Peers) Refused(tx *store.Tx, c store.Customer, id carrier.DeviceID, key signal.IdentityKey) error {
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
	if err := Bound(tx, c.ID, id); err != nil { // a carrier that invents devices must not fill the store
		return err
	}
	return s.tellIdentity(tx, c, key, d.IdentityKey == nil, false)
}

func (s *Peers) tellIdentity(tx *store.Tx, c store.Customer, key signal.IdentityKey, first, accepted bool) error {
	payload, err := s.Webhook.IdentityPayload(webhook.Identity{
		ID: store.NewMessageID(), Customer: c.Number, User: c.UserID, Name: c.Name, Time: s.Now(), Hash: IdentityHash(key.Bytes()),
		Fingerprint: key.Fingerprint(), NewDevice: first, Accepted: accepted,
	})
	return s.Notify(tx, store.Job{Customer: c.ID}, payload, err)
}

// Named returns the device of a customer whose identity key the business named. If that key was
// refused until now, it is accepted: the business accepts a key by naming it.
func (s *Peers) Named(ctx context.Context, c store.Customer, hash string) (id carrier.DeviceID, err error) {
	err = s.Store.Update(ctx, func(tx *store.Tx) error {
		devices, err := tx.Devices(c.ID)
		if err != nil {
			return err
		}
		for _, d := range devices {
			if d.Offered != nil && d.Reachable() && IdentityHash(d.Offered) == hash {
				id = d.ID
				return s.accept(tx, c, d)
			}
		}
		strict := s.strict(devices)
		for _, d := range devices {
			if d.IdentityKey != nil && d.Reachable() && (d.Accepted || !strict) && IdentityHash(d.IdentityKey) == hash {
				id = d.ID
				return nil
			}
		}
		return ErrIdentity
	})
	if err != nil {
		return 0, fmt.Errorf("looking for the identity key: %w", err)
	}
	return id, nil
}

// accept accepts the key that a device offered. A session under another key still decrypts late
// messages, but nothing is encrypted in it any more.
func (s *Peers) accept(tx *store.Tx, c store.Customer, d store.Device) error {
	d.IdentityKey, d.Offered, d.Accepted = d.Offered, nil, true
	if err := tx.PutDevice(c.ID, d); err != nil {
		return err
	}
	view := s.View(tx, c.ID)
	defer view.Forget()
	for _, f := range carrier.Formats() {
		r, err := view.Record(c.Number, d.ID, f)
		if err != nil {
			return err
		}
		if r == nil {
			continue
		}
		if err := view.PutRecord(c.Number, d.ID, f, r.Discard(s.Now())); err != nil {
			return err
		}
	}
	return nil
}

// Inspect fetches the bundle of a device that is not accepted and notes its key.
func (s *Peers) Inspect(ctx context.Context, c store.Customer, id carrier.DeviceID) error {
	b, err := s.anyBundle(ctx, c, id)
	if isMissing(err) {
		return record.ErrFinished
	}
	if err != nil {
		return fmt.Errorf("fetching a bundle: %w", err)
	}
	key, err := omemo.Inspect(b)
	if err != nil {
		s.Classes.Add(omemo.Class(err))
		return record.ErrFinished
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
		return s.Refused(tx, c, id, key)
	})
	if err != nil {
		return err
	}
	s.Counts.Add(base.EventUntrusted)
	return record.ErrFinished
}

// Begin starts the missing sessions, and returns the plan without the devices whose bundle is
// invalid or whose key is refused.
func (s *Peers) Begin(tx *store.Tx, c store.Customer, p Plan, view *Sessions) (Plan, error) {
	for d, b := range p.bundles {
		started, err := s.Account.Start(view, c.Number, d, b, s.Now())
		var untrusted *omemo.UntrustedError
		switch {
		case errors.As(err, &untrusted):
			s.Counts.Add(base.EventUntrusted)
			s.Classes.Add(omemo.Class(err))
			if err := s.Refused(tx, c, d, untrusted.Identity); err != nil {
				return p, err
			}
			p = p.without(d)
			continue
		case errors.Is(err, omemo.ErrBundle):
			s.Classes.Add(omemo.Class(err))
			p = p.without(d)
			continue
		case err != nil:
			return p, err
		}
		event, err := s.News(tx, c, view, started.IdentityChanged, started.NewDevice, started.Identity)
		if err != nil {
			return p, err
		}
		if event != "" {
			s.Counts.Add(event)
		}
	}
	return p, nil
}

// holds says whether the device's current session is with the key that was named.
func (v *Sessions) holds(peer phone.Number, d carrier.DeviceID, hash string) (bool, error) {
	key, ok, err := v.Identity(peer, d)
	return ok && IdentityHash(key.Bytes()) == hash, err
}
