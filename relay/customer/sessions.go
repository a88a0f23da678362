package customer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// repairEvery is the least time between two offers of a new session to a device whose messages
// cannot be opened: the peer's own offer may cross ours.
const repairEvery = time.Minute

// listKey names one of a peer's device lists.
type listKey struct {
	peer   phone.Number
	format carrier.Format
}

// seal encrypts for the peer's devices, once in each format that we both speak. A device that reads both is
// written to in OMEMO2.
func (c *Customer) seal(ctx context.Context, to phone.Number, say omemo.Saying) (envelopes []carrier.Envelope, err error) {
	var done []carrier.DeviceID
	for _, f := range slices.Backward(carrier.Formats()) {
		if !slices.Contains(c.Formats, f) {
			continue
		}
		devices, err := c.devices(ctx, listKey{to, f})
		if err != nil {
			return nil, err
		}
		devices = slices.DeleteFunc(devices, func(d carrier.DeviceID) bool { return slices.Contains(done, d) })
		e, err := c.sealIn(ctx, f, to, devices, say)
		if err != nil {
			return nil, err
		}
		if e == nil {
			continue
		}
		envelopes = append(envelopes, *e)
		for _, k := range e.Keys {
			done = append(done, k.Device)
		}
	}
	if len(envelopes) == 0 {
		return nil, ErrNoDevice
	}
	return envelopes, nil
}

// sealIn encrypts in a format, for as many devices as an envelope addresses, and starts the
// missing sessions. A device without a usable bundle is left out, and takes no other's place. It returns nil
// when no device is left.
func (c *Customer) sealIn(ctx context.Context, f carrier.Format, to phone.Number, waiting []carrier.DeviceID, say omemo.Saying) (*carrier.Envelope, error) {
	var chosen []carrier.DeviceID
	for {
		n := min(len(waiting), omemo.MaxDevices-len(chosen))
		chosen, waiting = append(chosen, waiting[:n]...), waiting[n:]
		if len(chosen) == 0 {
			return nil, nil
		}
		e, err := c.sealFor(f, to, chosen, say)
		var missing *omemo.NoSessionError
		if !errors.As(err, &missing) {
			return &e, err
		}
		for _, d := range missing.Devices {
			switch err := c.startSession(ctx, to, d, f); {
			case errors.Is(err, carrier.ErrNotFound), errors.Is(err, carrier.ErrHidden), errors.Is(err, omemo.ErrBundle), errors.Is(err, carrier.ErrRejected):
				chosen = slices.DeleteFunc(chosen, func(x carrier.DeviceID) bool { return x == d })
			case err != nil:
				return nil, err
			}
		}
	}
}

func (c *Customer) sealFor(f carrier.Format, to phone.Number, devices []carrier.DeviceID, say omemo.Saying) (e carrier.Envelope, err error) {
	err = c.State.update(func(t *tx) error {
		e, err = c.State.account.Seal(t, f, to, devices, say, c.Now())
		return err
	})
	return e, err
}

// startSession fetches a device's bundle and makes a session from it.
func (c *Customer) startSession(ctx context.Context, peer phone.Number, d carrier.DeviceID, f carrier.Format) error {
	var b carrier.Bundle
	err := retry(ctx, func() (err error) {
		b, err = c.Carrier.Bundle(ctx, peer, d, f)
		return err
	})
	c.askIfHidden(ctx, peer, err)
	if err != nil {
		return fmt.Errorf("fetching a bundle: %w", err)
	}
	return c.State.update(func(t *tx) error {
		_, err := c.State.account.Start(t, peer, d, b, c.Now())
		return err
	})
}

// askIfHidden asks the peer to become a contact when fetching its list or bundle failed because
// it shows them only to contacts. A later attempt succeeds once the peer has agreed.
func (c *Customer) askIfHidden(ctx context.Context, peer phone.Number, fetched error) {
	if !errors.Is(fetched, carrier.ErrHidden) {
		return
	}
	if _, err := c.Carrier.Contact(ctx, peer, true); err != nil {
		c.Log.Warn("the contact request was not sent", "error", err)
	}
}

// devices returns the devices to encrypt for in a format: those that the peer publishes or, for a client
// that publishes no list, those that wrote to us. Devices in use come first. There may be more
// than an envelope addresses.
func (c *Customer) devices(ctx context.Context, l listKey) ([]carrier.DeviceID, error) {
	c.mu.Lock()
	list, known := c.lists[l]
	c.mu.Unlock()
	if !known {
		err := retry(ctx, func() (err error) {
			list, err = c.Carrier.Devices(ctx, l.peer, l.format)
			return err
		})
		c.askIfHidden(ctx, l.peer, err)
		if err != nil && !errors.Is(err, carrier.ErrNotFound) && !errors.Is(err, carrier.ErrHidden) {
			return nil, fmt.Errorf("fetching the device list: %w", err)
		}
	}
	if len(list) > 0 {
		c.setDevices(l, list)
		return c.State.byLife(l.peer, list), nil
	}
	return c.State.byLife(l.peer, c.State.learned(l.peer, l.format)), nil
}

func (c *Customer) setDevices(l listKey, list []carrier.DeviceID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lists[l] = list
}

// repair offers a new session to a device whose message could not be opened, so that the next
// one can.
func (c *Customer) repair(ctx context.Context, peer phone.Number, d carrier.DeviceID, f carrier.Format) error {
	if !c.mayRepair(peer, d) {
		return nil
	}
	if err := c.startSession(ctx, peer, d, f); err != nil {
		return fmt.Errorf("repairing a session: %w", err)
	}
	_, err := c.send(ctx, peer, omemo.Saying{})
	return err
}

func (c *Customer) mayRepair(peer phone.Number, d carrier.DeviceID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, now := address(peer, d), c.Now()
	if last, ok := c.repaired[a]; ok && now.Sub(last) < repairEvery {
		return false
	}
	c.repaired[a] = now
	return true
}
