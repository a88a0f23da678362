// Package omemo is the content layer of OMEMO, in two formats: legacy (XEP-0384 v0.3, the
// namespace eu.siacs.conversations.axolotl) and urn:xmpp:omemo:2 (v0.9). It turns a text into an envelope
// for a peer's devices and back, and a published bundle into a session.
//
// It is pure: sessions, keys and pre-keys come from a [Sessions] view, which its caller backs with
// one transaction of its store, so that a ratchet step and what it revealed become durable together
// or not at all. It must not know what a stanza, a database or a log is. It trusts nothing that
// comes from the carrier: it checks sizes, identifiers, keys and signatures.
package omemo

import (
	"errors"
	"fmt"
	"slices"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/signal"
)

// Limits on what is sealed and on what is opened.
const (
	// MaxText is the longest text in bytes that is sealed or opened. The Cloud API
	// allows 4,096 characters; phones send somewhat more.
	MaxText = 64 << 10
	// maxContent is the longest envelope of OMEMO2, which holds a text as XML, in bytes.
	maxContent = 192 << 10
	// MaxDevices is how many devices of a peer one envelope may address.
	MaxDevices = 64
	// MaxPreKeys is how many one-time pre-keys of a fetched bundle are read.
	MaxPreKeys = 512
	// maxKeyData bounds the Signal message that holds a content key. A pre-key
	// message over 32 bytes takes about 230 bytes.
	maxKeyData = 1 << 10
	// maxDeviceID is the highest device id that XEP-0384 v0.3 allows.
	maxDeviceID carrier.DeviceID = 1<<31 - 1
)

// Errors that a caller decides on. What the Signal layer refuses is wrapped, so
// that errors.Is finds signal.ErrReplay, signal.ErrNoSession and the like.
var (
	// ErrNotForUs means that the envelope has no key for our device.
	ErrNotForUs = errors.New("omemo: envelope has no key for this device")
	// ErrMalformed means that an envelope breaks the format: neither a retry nor a new session
	// helps.
	ErrMalformed = errors.New("omemo: malformed envelope")
	// ErrContent means that the Signal message could be opened but its content could not. The
	// carrier can turn a genuine message into such a one, since the session does not
	// authenticate the payload. So the session stays as it was, and the genuine message can
	// still be read.
	ErrContent = errors.New("omemo: content is not authentic")
	// ErrBundle means that a peer's bundle is malformed or not signed by the
	// identity key that it names.
	ErrBundle = errors.New("omemo: invalid bundle")
	// ErrNoSession means that there is no session with some devices; a *NoSessionError says
	// which.
	ErrNoSession = errors.New("omemo: no session")
	// ErrTooLong means that a text is longer than MaxText.
	ErrTooLong = fmt.Errorf("omemo: text is longer than %d bytes", MaxText)
	// ErrRecipients means that an envelope would address no device, more than
	// MaxDevices, or one whose id is out of range.
	ErrRecipients = fmt.Errorf("omemo: an envelope addresses 1 to %d devices with ids of 1 to 2^31-1", MaxDevices)
)

// Class names the class of err in a word that is fit for a metric's label: one of signal.Class,
// "not_for_us" or "bundle".
func Class(err error) string {
	switch {
	case errors.Is(err, ErrNotForUs):
		return "not_for_us"
	case errors.Is(err, ErrMalformed):
		return "malformed"
	case errors.Is(err, ErrContent):
		return "unauthenticated"
	case errors.Is(err, ErrBundle):
		return "bundle"
	case errors.Is(err, ErrNoSession):
		return "no_session"
	}
	return signal.Class(err)
}

// Classes are the words that Class returns for what was refused.
func Classes() []string {
	return []string{
		"malformed", "unknown_prekey", "unauthenticated", "replay", "too_far_ahead", "untrusted_identity", "no_session",
		"not_for_us", "bundle",
	}
}

// UntrustedError says which identity key was refused: a message or a bundle's signature
// authenticated it, but the account does not accept it.
type UntrustedError struct{ Identity signal.IdentityKey }

// Error does not tell the key.
func (e *UntrustedError) Error() string { return signal.ErrUntrustedIdentity.Error() }

// Unwrap makes errors.Is(err, signal.ErrUntrustedIdentity) true.
func (e *UntrustedError) Unwrap() error { return signal.ErrUntrustedIdentity }

// NoSessionError names the devices without a session. Fetch the bundle of each,
// [Account.Start] a session with it, and seal again; leave out those whose bundle
// cannot be fetched.
type NoSessionError struct{ Devices []carrier.DeviceID }

// Error says how many devices have no session; device ids stay out of logs.
func (e *NoSessionError) Error() string {
	return fmt.Sprintf("%s with %d of the devices", ErrNoSession.Error(), len(e.Devices))
}

// Unwrap makes errors.Is(err, ErrNoSession) true.
func (e *NoSessionError) Unwrap() error { return ErrNoSession }

// Sessions is the view of one transaction that the account works on: sessions with peers' devices
// and our own pre-keys. An error that it returns ends the operation and is returned wrapped; the
// caller must then roll back the transaction.
type Sessions interface {
	// Record returns the sessions with a device in that format; nil without error when there is none.
	Record(peer phone.Number, d carrier.DeviceID, f carrier.Format) (*signal.Record, error)
	PutRecord(peer phone.Number, d carrier.DeviceID, f carrier.Format, r *signal.Record) error
	// Identity returns the identity key on record for a device; ok is false when
	// there is none.
	Identity(peer phone.Number, d carrier.DeviceID) (key signal.IdentityKey, ok bool, err error)
	// PutIdentity writes a device's identity key, which it showed in that format. It may refuse a key with an error that wraps
	// signal.ErrUntrustedIdentity, and then writes nothing.
	PutIdentity(peer phone.Number, d carrier.DeviceID, f carrier.Format, key signal.IdentityKey) error
	// PreKeySource finds the private halves of our own pre-keys.
	signal.PreKeySource
	// UsePreKey says that a one-time pre-key was used: it must not be published again.
	UsePreKey(id uint32) error
	// Begin says that a peer began a session. It returns an error that wraps
	// signal.ErrUnknownPreKey when the same session was begun before and has been lost since:
	// nothing of it may be read a second time.
	Begin(b signal.Begun) error
}

// Trust says what to do about a device whose identity key changed. The values are those of
// contract.Config.Trust.
type Trust string

// The ways to trust.
const (
	// Blind accepts a new identity key and reports the change, as phones do.
	Blind Trust = "blind"
	// FirstUse refuses every key but the first with signal.ErrUntrustedIdentity.
	FirstUse Trust = "firstUse"
)

// Account is our end: one device of one account. It has no state of its own, so one value serves
// concurrent callers. Operations on one peer device must not overlap.
type Account struct {
	Local  signal.Local
	Device carrier.DeviceID // 1 to 2^31-1
	Trust  Trust            // empty means Blind
	// Address returns the address of a number's account, which envelopes of OMEMO2 name, and Own is our
	// number. Without Address nothing of OMEMO2 is sealed or opened.
	Address func(phone.Number) string
	Own     phone.Number
}

// Formats returns the formats that the account reads and writes.
func (a *Account) Formats() []carrier.Format {
	if a.Address == nil {
		return []carrier.Format{carrier.Legacy}
	}
	return carrier.Formats()
}

// formatOf is a format as the Signal layer names it.
func formatOf(f carrier.Format) signal.Format {
	if f == carrier.OMEMO2 {
		return signal.OMEMO2
	}
	return signal.Legacy
}

// Bundle returns what the account publishes in Legacy: the public halves, in order.
func (a *Account) Bundle(signed *signal.SignedPreKey, pre []*signal.PreKey) carrier.Bundle {
	signature := signed.Signature()
	b := carrier.Bundle{
		IdentityKey:  a.Local.Identity.Public().Bytes(),
		SignedPreKey: carrier.PreKey{ID: signed.ID(), Public: signed.Public().Bytes()},
		Signature:    signature[:],
		PreKeys:      make([]carrier.PreKey, 0, len(pre)),
	}
	for _, k := range pre {
		b.PreKeys = append(b.PreKeys, carrier.PreKey{ID: k.ID(), Public: k.Public().Bytes()})
	}
	return b
}

// BundleOMEMO2 returns what the account publishes in OMEMO2: the same keys in its form. The signed pre-key
// has another signature there, which is made each time.
func (a *Account) BundleOMEMO2(signed *signal.SignedPreKey, pre []*signal.PreKey) (carrier.Bundle, error) {
	signature, err := a.Local.Identity.Sign(signed.Public().Coordinate())
	if err != nil {
		return carrier.Bundle{}, fmt.Errorf("signing the signed pre-key: %w", err)
	}
	b := carrier.Bundle{
		Format: carrier.OMEMO2, IdentityKey: a.Local.Identity.Public().Edwards(),
		SignedPreKey: carrier.PreKey{ID: signed.ID(), Public: signed.Public().Coordinate()},
		Signature:    signature[:], PreKeys: make([]carrier.PreKey, 0, len(pre)),
	}
	for _, k := range pre {
		b.PreKeys = append(b.PreKeys, carrier.PreKey{ID: k.ID(), Public: k.Public().Coordinate()})
	}
	return b, nil
}

// admit compares a device's authenticated identity key with the one on record, and writes it if
// trust allows. It reports whether the key replaced another, and whether the device had none
// before. For a refused key it returns an *UntrustedError.
func (a *Account) admit(s Sessions, peer phone.Number, d carrier.DeviceID, f carrier.Format, key signal.IdentityKey) (changed, first bool, err error) {
	known, ok, err := s.Identity(peer, d)
	switch {
	case err != nil:
		return false, false, fmt.Errorf("reading a device's identity key: %w", err)
	case ok && known.Equal(key):
		return false, false, nil
	case ok && a.Trust == FirstUse:
		return false, false, &UntrustedError{Identity: key}
	}
	switch err := s.PutIdentity(peer, d, f, key); {
	case errors.Is(err, signal.ErrUntrustedIdentity):
		return false, false, &UntrustedError{Identity: key}
	case err != nil:
		return false, false, fmt.Errorf("keeping a device's identity key: %w", err)
	}
	return ok, !ok, nil
}

// validDevices checks whether ids may be addressed, and returns them in the given order without
// repetitions.
func validDevices(ids []carrier.DeviceID) ([]carrier.DeviceID, error) {
	unique := make([]carrier.DeviceID, 0, min(len(ids), MaxDevices))
	for _, id := range ids {
		if id < 1 || id > maxDeviceID {
			return nil, ErrRecipients
		}
		if slices.Contains(unique, id) {
			continue
		}
		if len(unique) == MaxDevices {
			return nil, ErrRecipients
		}
		unique = append(unique, id)
	}
	if len(unique) == 0 {
		return nil, ErrRecipients
	}
	return unique, nil
}
