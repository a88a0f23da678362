package omemo

import (
	"errors"
	"fmt"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/signal"
)

// Seal encrypts text, at most MaxText bytes, for the given devices of a peer. Nil makes a key
// transport message, which carries nothing and advances the sessions. A device that is named twice
// gets one key.
//
// It writes the sessions' next steps to s. Make them durable before sending the envelope, and to
// retry, send the same envelope instead of sealing again. With a *NoSessionError, ErrTooLong or
// ErrRecipients, nothing was written.
func (a *Account) Seal(s Sessions, to phone.Number, devices []carrier.DeviceID, text []byte) (carrier.Envelope, error) {
	if len(text) > MaxText {
		return carrier.Envelope{}, ErrTooLong
	}
	devices, err := validDevices(devices)
	if err != nil {
		return carrier.Envelope{}, err
	}
	keyAndTag, iv, payload, err := sealPayload(text)
	if err != nil {
		return carrier.Envelope{}, err
	}
	defer clear(keyAndTag)
	keys, next, err := a.sealKey(s, to, devices, keyAndTag)
	if err != nil {
		return carrier.Envelope{}, err
	}
	for i, d := range devices {
		if err := s.PutRecord(to, d, next[i]); err != nil {
			return carrier.Envelope{}, fmt.Errorf("keeping a session: %w", err)
		}
	}
	e := carrier.Envelope{Sender: a.Device, IV: iv, Keys: keys}
	if text != nil {
		e.Payload = payload
	}
	return e, nil
}

// sealKey encrypts the content key for each device and returns the keys and the sessions' next
// steps. A *NoSessionError names every device without a session, so that the caller can start them
// all at once.
func (a *Account) sealKey(s Sessions, to phone.Number, devices []carrier.DeviceID, content []byte) ([]carrier.Key, []*signal.Record, error) {
	keys := make([]carrier.Key, 0, len(devices))
	next := make([]*signal.Record, 0, len(devices))
	var missing []carrier.DeviceID
	for _, d := range devices {
		r, err := s.Record(to, d)
		if err != nil {
			return nil, nil, fmt.Errorf("reading a session: %w", err)
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
