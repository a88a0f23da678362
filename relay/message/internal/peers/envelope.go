package peers

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/store"
)

// Encrypt begins the missing sessions and encrypts the text, which is nil for none, in one
// transaction with what keep writes. It leaves out devices whose bundle is invalid or whose key
// is refused. The refusal is written even when no other device is left.
func (s *Peers) Encrypt(
	ctx context.Context, c store.Customer, p Plan, text []byte,
	keep func(*store.Tx, *carrier.Envelope, map[carrier.DeviceID]string) error,
) (*carrier.Envelope, error) {
	var envelope carrier.Envelope
	var unreachable error
	err := s.Store.Update(ctx, func(tx *store.Tx) (err error) {
		unreachable = nil
		view := s.View(tx, c.ID)
		defer view.Forget()
		p, err := s.Begin(tx, c, p, view)
		switch {
		case err != nil:
			return err
		case len(p.Devices) == 0:
			unreachable = ErrUnreachable
			return nil
		case p.Identity != "":
			if ok, err := view.holds(c.Number, p.Devices[0], p.Identity); err != nil || !ok {
				return cmp.Or(err, ErrIdentity)
			}
		}
		if envelope, err = s.Account.Seal(view, c.Number, p.Devices, text); err != nil || keep == nil {
			return err
		}
		return keep(tx, &envelope, view.sealed)
	})
	s.Deliveries()
	return &envelope, cmp.Or(err, unreachable)
}

// WithoutSession returns which devices have no session with us.
func (s *Peers) WithoutSession(ctx context.Context, c store.Customer, devices []carrier.DeviceID) ([]carrier.DeviceID, error) {
	var missing []carrier.DeviceID
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		view := s.View(tx, c.ID)
		defer view.Forget()
		for _, d := range devices {
			r, err := view.Record(c.Number, d)
			if err != nil {
				return err
			}
			if !r.HasSessionAs(s.Account.Local) {
				missing = append(missing, d)
			}
		}
		return nil
	})
	return missing, err
}

// Fetch fetches the bundles of the devices without a session, until the plan holds as many
// devices as an envelope addresses. A device that publishes no bundle is left out, so that it
// takes no other's place, and is not asked again with every message: lists name devices that
// are long gone.
func (s *Peers) Fetch(ctx context.Context, c store.Customer, p Plan, missing []carrier.DeviceID) (Plan, error) {
	p.bundles = map[carrier.DeviceID]carrier.Bundle{}
	wanted := p.Devices
	p.Devices = nil
	why := ErrUnreachable
	for i, d := range wanted {
		if len(p.Devices) == omemo.MaxDevices {
			break
		}
		if slices.Contains(missing, d) {
			alone := len(p.Devices) == 0 && i == len(wanted)-1
			if !alone && s.stale(Device{c.ID, d}) {
				continue
			}
			b, err := s.Carrier.Bundle(ctx, c.Number, d)
			if isMissing(err) {
				why = unreachable(err, why)
				s.missed(Device{c.ID, d})
				continue
			}
			if err != nil {
				return p, fmt.Errorf("fetching a bundle: %w", err)
			}
			p.bundles[d] = b
		}
		p.Devices = append(p.Devices, d)
	}
	if len(p.Devices) == 0 {
		return p, why
	}
	return p, nil
}
