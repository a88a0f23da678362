package message

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/store"
)

// plan says which devices an envelope is for, and the bundles of those with which a
// session must be begun first.
type plan struct {
	devices []carrier.DeviceID
	bundles map[carrier.DeviceID]carrier.Bundle
	// identity names the key that the one device must have; empty for any.
	identity string
}

// without leaves a device out.
func (p plan) without(d carrier.DeviceID) plan {
	p.devices = slices.DeleteFunc(slices.Clone(p.devices), func(o carrier.DeviceID) bool { return o == d })
	return p
}

// errUnreachable means that a customer has no device that can be written to.
var errUnreachable = errors.New("the customer has no device that reads encrypted messages")

// encrypt begins the sessions that lack and seals the text, or nil for none, in one
// transaction with what keep writes. A device whose bundle is no good, or whose key
// is refused, is left out; that it was refused is written even when no other is left.
func (s *Service) encrypt(
	ctx context.Context, c store.Customer, p plan, text []byte,
	keep func(*store.Tx, *carrier.Envelope, map[carrier.DeviceID]string) error,
) (*carrier.Envelope, error) {
	var envelope carrier.Envelope
	var unreachable error
	err := s.Store.Update(ctx, func(tx *store.Tx) (err error) {
		unreachable = nil
		view := s.view(tx, c.ID)
		defer view.forget()
		p, err := s.begin(tx, c, p, view)
		switch {
		case err != nil:
			return err
		case len(p.devices) == 0:
			unreachable = errUnreachable
			return nil
		case p.identity != "":
			if ok, err := view.holds(c.Number, p.devices[0], p.identity); err != nil || !ok {
				return cmp.Or(err, errIdentity)
			}
		}
		if envelope, err = s.Account.Seal(view, c.Number, p.devices, text); err != nil || keep == nil {
			return err
		}
		return keep(tx, &envelope, view.sealed)
	})
	s.Deliveries()
	return &envelope, cmp.Or(err, unreachable)
}

// withoutSession returns which devices have no session with us.
func (s *Service) withoutSession(ctx context.Context, c store.Customer, devices []carrier.DeviceID) ([]carrier.DeviceID, error) {
	var lacking []carrier.DeviceID
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		view := s.view(tx, c.ID)
		defer view.forget()
		for _, d := range devices {
			r, err := view.Record(c.Number, d)
			if err != nil {
				return err
			}
			if !r.HasSessionAs(s.Account.Local) {
				lacking = append(lacking, d)
			}
		}
		return nil
	})
	return lacking, err
}

// fetch gets the bundles of the devices that lack a session, until the plan holds as many
// devices as an envelope addresses. One that publishes none is left out, so that it takes
// nobody's place, and not asked for with every message: lists name devices that are long
// gone.
func (s *Service) fetch(ctx context.Context, c store.Customer, p plan, lacking []carrier.DeviceID) (plan, error) {
	p.bundles = map[carrier.DeviceID]carrier.Bundle{}
	wanted := p.devices
	p.devices = nil
	for i, d := range wanted {
		if len(p.devices) == omemo.MaxDevices {
			break
		}
		if slices.Contains(lacking, d) {
			alone := len(p.devices) == 0 && i == len(wanted)-1
			if !alone && s.stale(device{c.ID, d}) {
				continue
			}
			b, err := s.Link.Bundle(ctx, c.Number, d)
			if errors.Is(err, carrier.ErrNotFound) || errors.Is(err, carrier.ErrRejected) {
				s.missed(device{c.ID, d})
				continue
			}
			if err != nil {
				return p, fmt.Errorf("fetching a bundle: %w", err)
			}
			p.bundles[d] = b
		}
		p.devices = append(p.devices, d)
	}
	if len(p.devices) == 0 {
		return p, errUnreachable
	}
	return p, nil
}
