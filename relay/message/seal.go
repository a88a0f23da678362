package message

import (
	"context"
	"fmt"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/store"
)

// sealText encrypts a message for all of a customer's devices. The ratchets' steps
// and the ciphertext are durable, in one transaction, when it returns.
func (s *Service) sealText(ctx context.Context, c store.Customer, m store.Message, body content) (*carrier.Envelope, error) {
	devices, err := s.recipients(ctx, c, body)
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
	p.identity = body.IdentityHash
	envelope, err := s.encrypt(ctx, c, p, []byte(body.Text), func(tx *store.Tx, e *carrier.Envelope, sealed map[carrier.DeviceID]string) (err error) {
		if m, err = tx.Message(m.ID); err != nil {
			return err
		}
		return putBody(tx, m, func(b *content) { b.Envelope, b.For, b.Sealed = e, sealed, s.Now() })
	})
	if isNotFound(err) {
		err = errFinished
	}
	if err != nil {
		return nil, fmt.Errorf("encrypting: %w", err)
	}
	return envelope, nil
}

// recipients returns the devices that a message goes to.
func (s *Service) recipients(ctx context.Context, c store.Customer, body content) ([]carrier.DeviceID, error) {
	if body.IdentityHash != "" {
		d, err := s.named(ctx, c, body.IdentityHash)
		return []carrier.DeviceID{d}, err
	}
	devices, err := s.devicesOf(ctx, c)
	if err != nil {
		return nil, err
	}
	return s.stillFor(ctx, c, body, devices)
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
	envelope, err := s.encrypt(ctx, c, p, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("encrypting: %w", err)
	}
	return envelope, nil
}
