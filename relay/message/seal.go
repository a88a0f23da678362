package message

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/signal"
	"github.com/relaykeep/relaykeep/relay/store"
)

// errUnreachable means that a customer has no device that can be written to.
var errUnreachable = errors.New("the customer has no device that reads encrypted messages")

// plan says which devices an envelope is for, and the bundles of those with which a
// session must be begun first.
type plan struct {
	devices []carrier.DeviceID
	bundles map[carrier.DeviceID]carrier.Bundle
}

// without leaves a device out.
func (p plan) without(d carrier.DeviceID) plan {
	p.devices = slices.DeleteFunc(slices.Clone(p.devices), func(o carrier.DeviceID) bool { return o == d })
	return p
}

// sealText encrypts a message for all of a customer's devices. The ratchets' steps
// and the ciphertext are durable, in one transaction, when it returns.
func (s *Service) sealText(ctx context.Context, c store.Customer, m store.Message, body content) (*carrier.Envelope, error) {
	devices, err := s.devicesOf(ctx, c)
	if err != nil {
		return nil, err
	}
	lacking, err := s.withoutSession(ctx, c, devices)
	if err != nil {
		return nil, err
	}
	p, err := s.fetch(ctx, c, plan{devices: devices}, lacking)
	if err != nil {
		return nil, err
	}
	var envelope carrier.Envelope
	err = s.Store.Update(ctx, func(tx *store.Tx) (err error) {
		if envelope, err = s.encrypt(tx, c, p, []byte(body.Text)); err != nil {
			return err
		}
		if m, err = tx.Message(m.ID); err != nil {
			return err
		}
		return putBody(tx, m, func(b *content) { b.Envelope = &envelope })
	})
	if isNotFound(err) {
		err = errFinished
	}
	if err != nil {
		return nil, fmt.Errorf("encrypting: %w", err)
	}
	return &envelope, nil
}

// sealTransport makes a message without content for one device, in a new session
// where that is what the job is for.
func (s *Service) sealTransport(ctx context.Context, c store.Customer, t task) (*carrier.Envelope, error) {
	p := plan{devices: []carrier.DeviceID{t.Device}}
	lacking := p.devices
	if t.Kind == kindAnswer {
		var err error
		if lacking, err = s.withoutSession(ctx, c, p.devices); err != nil {
			return nil, err
		}
	}
	p, err := s.fetch(ctx, c, p, lacking)
	if err != nil {
		return nil, err
	}
	var envelope carrier.Envelope
	err = s.Store.Update(ctx, func(tx *store.Tx) (err error) {
		envelope, err = s.encrypt(tx, c, p, nil)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("encrypting: %w", err)
	}
	return &envelope, nil
}

// encrypt begins the sessions that lack and seals the text, or nil for none. A
// device whose bundle is no good is left out.
func (s *Service) encrypt(tx *store.Tx, c store.Customer, p plan, text []byte) (carrier.Envelope, error) {
	view := s.view(tx, c.ID)
	for d, b := range p.bundles {
		started, err := s.Account.Start(view, c.Number, d, b, s.Now())
		switch {
		case errors.Is(err, omemo.ErrBundle), errors.Is(err, signal.ErrUntrustedIdentity):
			s.counts.add(EventUntrusted)
			p = p.without(d)
		case err != nil:
			return carrier.Envelope{}, err
		case started.IdentityChanged:
			s.counts.add(EventIdentity)
		}
	}
	if len(p.devices) == 0 {
		return carrier.Envelope{}, errUnreachable
	}
	return s.Account.Seal(view, c.Number, p.devices, text)
}

// withoutSession returns which devices have no session with us.
func (s *Service) withoutSession(ctx context.Context, c store.Customer, devices []carrier.DeviceID) ([]carrier.DeviceID, error) {
	var lacking []carrier.DeviceID
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		view := s.view(tx, c.ID)
		for _, d := range devices {
			r, err := view.Record(c.Number, d)
			if err != nil {
				return err
			}
			if !r.HasSession() {
				lacking = append(lacking, d)
			}
		}
		return nil
	})
	return lacking, err
}

// fetch gets the bundles of the devices that lack a session. One that publishes
// none is left out.
func (s *Service) fetch(ctx context.Context, c store.Customer, p plan, lacking []carrier.DeviceID) (plan, error) {
	p.bundles = map[carrier.DeviceID]carrier.Bundle{}
	for _, d := range lacking {
		b, err := s.Link.Bundle(ctx, c.Number, d)
		switch {
		case errors.Is(err, carrier.ErrNotFound), errors.Is(err, carrier.ErrRejected):
			p = p.without(d)
		case err != nil:
			return p, fmt.Errorf("fetching a bundle: %w", err)
		default:
			p.bundles[d] = b
		}
	}
	if len(p.devices) == 0 {
		return p, errUnreachable
	}
	return p, nil
}
