package peers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/store"
)

// Sealed is one message, encrypted for devices of either format.
type Sealed struct {
	Envelope *carrier.Envelope
	// Other is the envelope for the devices that are written to in the other format; nil for none.
	Other *carrier.Envelope
	// For holds, by device, the hash of the identity key that it was encrypted for.
	For map[carrier.DeviceID]string
}

// Encrypt begins the missing sessions and encrypts what is said in one transaction with what keep writes. It leaves out devices whose bundle is invalid or whose key
// is refused. The refusal is written even when no other device is left.
func (s *Peers) Encrypt(ctx context.Context, c store.Customer, p Plan, say omemo.Saying, keep func(*store.Tx, Sealed) error) (sealed Sealed, err error) {
	var unreachable error
	err = s.Store.Update(ctx, func(tx *store.Tx) (err error) {
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
		if sealed, err = s.seal(view, c, p, say); err != nil || keep == nil {
			return err
		}
		return keep(tx, sealed)
	})
	return sealed, cmp.Or(err, unreachable)
}

// seal encrypts what is said once in each format that the plan's devices are written to in.
func (s *Peers) seal(view *Sessions, c store.Customer, p Plan, say omemo.Saying) (Sealed, error) {
	var envelopes []carrier.Envelope
	for _, f := range carrier.Formats() {
		devices := p.in(f)
		if len(devices) == 0 {
			continue
		}
		e, err := s.Account.Seal(view, f, c.Number, devices, say, s.Now())
		if err != nil {
			return Sealed{}, err
		}
		envelopes = append(envelopes, e)
	}
	return Sealed{Envelope: &envelopes[0], Other: carrier.Second(envelopes), For: view.sealed}, nil
}

// Choose returns in which format each device is written to, and which have no session in it. A device
// that reads both formats is written to in OMEMO2.
func (s *Peers) Choose(ctx context.Context, c store.Customer, devices []carrier.DeviceID) (p Plan, missing []carrier.DeviceID, err error) {
	err = s.Store.View(ctx, func(tx *store.Tx) error {
		known, err := tx.Devices(c.ID)
		if err != nil {
			return err
		}
		p = s.planFor(devices, known)
		missing, err = s.withoutSession(tx, c, p)
		return err
	})
	return p, missing, err
}

// planFor says in which format each device is written to.
func (s *Peers) planFor(devices []carrier.DeviceID, known []store.Device) Plan {
	p := In(carrier.Legacy, devices...)
	for _, d := range known {
		if d.OMEMO2 && slices.Contains(devices, d.ID) && slices.Contains(s.Account.Formats(), carrier.OMEMO2) {
			p.formats[d.ID] = carrier.OMEMO2
		}
	}
	return p
}

// ErrNotReady means that something must be asked of the carrier before a message can be encrypted.
var ErrNotReady = errors.New("the customer's devices or sessions are not known yet")

// SealReady encrypts what is said for all devices of a customer whose device lists are fresh and with each
// of whose devices there is a session. Else it returns ErrNotReady, and the transaction must be undone.
func (s *Peers) SealReady(tx *store.Tx, c store.Customer, say omemo.Saying) (Sealed, error) {
	if !s.Fresh(c.ID) {
		return Sealed{}, ErrNotReady
	}
	known, err := tx.Devices(c.ID)
	if err != nil {
		return Sealed{}, err
	}
	devices := s.activeOf(known)
	if len(devices) == 0 || len(devices) > omemo.MaxDevices {
		return Sealed{}, ErrNotReady
	}
	view := s.View(tx, c.ID)
	defer view.Forget()
	sealed, err := s.seal(view, c, s.planFor(devices, known), say)
	if errors.Is(err, omemo.ErrNoSession) {
		err = ErrNotReady
	}
	return sealed, err
}

// WithoutSession returns which devices have no session with us in the plan's formats.
func (s *Peers) WithoutSession(ctx context.Context, c store.Customer, p Plan) (missing []carrier.DeviceID, err error) {
	err = s.Store.View(ctx, func(tx *store.Tx) error {
		missing, err = s.withoutSession(tx, c, p)
		return err
	})
	return missing, err
}

func (s *Peers) withoutSession(tx *store.Tx, c store.Customer, p Plan) (missing []carrier.DeviceID, err error) {
	view := s.View(tx, c.ID)
	defer view.Forget()
	for _, d := range p.Devices {
		ready, err := s.Account.Ready(view, c.Number, d, p.formats[d])
		if err != nil {
			return nil, err
		}
		if !ready {
			missing = append(missing, d)
		}
	}
	return missing, nil
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
			err := s.fetch(ctx, c, &p, d, alone)
			if isMissing(err) {
				why = unreachable(err, why)
				continue
			}
			if err != nil {
				return p, fmt.Errorf("fetching a bundle: %w", err)
			}
		}
		p.Devices = append(p.Devices, d)
	}
	if len(p.Devices) == 0 {
		return p, why
	}
	return p, nil
}

// fetch fetches a device's bundle. If the device is listed for OMEMO2 but publishes no bundle there, it is
// written to in Legacy. The error says why it cannot be written to.
func (s *Peers) fetch(ctx context.Context, c store.Customer, p *Plan, d carrier.DeviceID, alone bool) error {
	for f := p.formats[d]; ; f = carrier.Legacy {
		if f != p.formats[d] {
			p.formats[d] = f
			if missing, err := s.WithoutSession(ctx, c, In(f, d)); err != nil || len(missing) == 0 {
				return err
			}
		}
		b, err := s.bundle(ctx, c, Device{c.ID, d, f}, alone)
		switch {
		case err == nil:
			p.bundles[d] = b
			return nil
		case !isMissing(err), f == carrier.Legacy:
			return err
		}
	}
}

// bundle fetches a device's bundle. A device that had none a moment ago is not asked, unless there is no
// other.
func (s *Peers) bundle(ctx context.Context, c store.Customer, d Device, alone bool) (carrier.Bundle, error) {
	if !alone && s.stale(d) {
		return carrier.Bundle{}, carrier.ErrNotFound
	}
	b, err := s.Carrier.Bundle(ctx, c.Number, d.ID, d.Format)
	if isMissing(err) {
		s.missed(d)
	}
	return b, err
}

// anyBundle fetches a device's bundle in the first format in which it has one.
func (s *Peers) anyBundle(ctx context.Context, c store.Customer, d carrier.DeviceID) (b carrier.Bundle, err error) {
	for _, f := range s.Account.Formats() {
		b, err = s.Carrier.Bundle(ctx, c.Number, d, f)
		if !isMissing(err) {
			break
		}
	}
	return b, err
}

// staleTime is how long a device without a bundle is left out without asking again. Some
// clients show their bundle once we may see their presence, which takes a moment.
const staleTime = time.Minute

// stale says whether a device had no bundle a moment ago.
func (s *Peers) stale(d Device) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, missing := s.missing[d]
	return missing && s.Now().Sub(at) < staleTime
}

// missed notes that a device has no bundle.
func (s *Peers) missed(d Device) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.missing) >= maxRemembered {
		clear(s.missing)
	}
	s.missing[d] = s.Now()
}
