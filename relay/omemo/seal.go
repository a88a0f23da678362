package omemo

import (
	"errors"
	"fmt"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/signal"
)

// Seal encrypts what is said for the given devices of a peer, in a format that they all read. A device that
// is named twice gets one key.
//
// It writes the sessions' next steps to s. Make them durable before sending the envelope, and to
// retry, send the same envelope instead of sealing again. With a *NoSessionError, ErrTooLong or
// ErrRecipients, nothing was written.
func (a *Account) Seal(s Sessions, f carrier.Format, to phone.Number, devices []carrier.DeviceID, say Saying, now time.Time) (carrier.Envelope, error) {
	if len(say.Text) > MaxText {
		return carrier.Envelope{}, ErrTooLong
	}
	devices, err := validDevices(devices)
	if err != nil {
		return carrier.Envelope{}, err
	}
	e := carrier.Envelope{Format: f, Sender: a.Device}
	var keyAndTag []byte
	if f == carrier.OMEMO2 {
		keyAndTag, e.Payload, err = a.sealContent(to, say, now)
	} else if keyAndTag, e.IV, e.Payload, err = sealPayload(say.Text); say.Text == nil {
		e.Payload = nil
	}
	if err != nil {
		return carrier.Envelope{}, err
	}
	defer clear(keyAndTag)
	var next []*signal.Record
	e.Keys, next, err = a.sealKey(s, f, to, devices, keyAndTag)
	if err != nil {
		return carrier.Envelope{}, err
	}
	for i, d := range devices {
		if err := s.PutRecord(to, d, f, next[i]); err != nil {
			return carrier.Envelope{}, fmt.Errorf("keeping a session: %w", err)
		}
	}
	return e, nil
}

// sealKey encrypts the content key for each device and returns the keys and the sessions' next
// steps. A *NoSessionError names every device without a session, so that the caller can start them
// all at once.
func (a *Account) sealKey(s Sessions, f carrier.Format, to phone.Number, devices []carrier.DeviceID, content []byte) ([]carrier.Key, []*signal.Record, error) {
	keys := make([]carrier.Key, 0, len(devices))
	next := make([]*signal.Record, 0, len(devices))
	var missing []carrier.DeviceID
	for _, d := range devices {
		r, err := s.Record(to, d, f)
		if err != nil {
			return nil, nil, fmt.Errorf("reading a session: %w", err)
		}
		ready, err := a.ready(s, to, d, r)
		if err != nil {
			return nil, nil, err
		}
		if !ready {
			missing = append(missing, d)
			continue
		}
		c, stepped, err := signal.Encrypt(r, a.Local, content)
		switch {
		case errors.Is(err, signal.ErrNoSession):
			missing = append(missing, d)
		case err != nil:
			return nil, nil, fmt.Errorf("omemo: sealing the content key: %w", err)
		}
		keys = append(keys, carrier.Key{Device: d, PreKey: c.PreKey, Data: c.Data})
		next = append(next, stepped)
	}
	if missing != nil {
		return nil, nil, &NoSessionError{Devices: missing}
	}
	return keys, next, nil
}

// Ready says whether there is a session with a device in that format that Seal encrypts in.
func (a *Account) Ready(s Sessions, peer phone.Number, d carrier.DeviceID, f carrier.Format) (bool, error) {
	r, err := s.Record(peer, d, f)
	if err != nil {
		return false, fmt.Errorf("reading a session: %w", err)
	}
	return a.ready(s, peer, d, r)
}

// ready says whether a session is with the identity key on record. A device's key may have changed in its
// other format, and nothing is encrypted for the former key then.
func (a *Account) ready(s Sessions, peer phone.Number, d carrier.DeviceID, r *signal.Record) (bool, error) {
	if !r.HasSessionAs(a.Local) {
		return false, nil
	}
	with, _ := r.Identity()
	known, ok, err := s.Identity(peer, d)
	if err != nil {
		return false, fmt.Errorf("reading a device's identity key: %w", err)
	}
	return !ok || known.Equal(with), nil
}
