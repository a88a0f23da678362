package inbound

import (
	"errors"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/signal"
)

// faults are the kinds of failure to open a message that are treated differently.
type faults int

const (
	faultNone faults = iota
	faultStorage
	faultReplay
	faultNotForUs
	faultUntrusted
	faultRepairable
	faultHopeless
)

// fault sorts an error of omemo.Account.Open.
func fault(err error) faults {
	switch {
	case err == nil:
		return faultNone
	case errors.Is(err, signal.ErrReplay):
		return faultReplay
	case errors.Is(err, omemo.ErrNotForUs):
		return faultNotForUs
	case errors.Is(err, signal.ErrUntrustedIdentity):
		return faultUntrusted
	case errors.Is(err, signal.ErrNoSession), errors.Is(err, signal.ErrUnknownPreKey),
		errors.Is(err, signal.ErrUnauthenticated), errors.Is(err, signal.ErrTooFarAhead):
		return faultRepairable
	case errors.Is(err, omemo.ErrMalformed), errors.Is(err, omemo.ErrContent), errors.Is(err, signal.ErrMalformed):
		return faultHopeless
	}
	return faultStorage
}

// details explains a fault to the business.
func (f faults) details() string {
	switch f {
	case faultNotForUs:
		return "The customer's client did not encrypt the message for this business. The relay published its keys again: ask the customer to send it once more."
	case faultUntrusted:
		return "The message came from a device whose identity key is not accepted (trust: firstUse)."
	case faultRepairable:
		return "The message could not be decrypted. The relay offered the customer's device a new session: ask the customer to send it once more."
	case faultNone, faultStorage, faultReplay, faultHopeless:
	}
	return "The message is damaged or of a kind that the relay does not read."
}

// unreadDetails explains to the business why a message was refused, and says whether the customer's client
// is told so.
func unreadDetails(k carrier.UnreadKind, told bool) string {
	details := faultHopeless.details()
	switch k {
	case carrier.InClear:
		details = "The message came without encryption, which this relay does not accept."
	case carrier.ForeignEncryption:
		details = "The message is encrypted in a way that this relay does not read: it reads OMEMO (eu.siacs.conversations.axolotl and urn:xmpp:omemo:2)."
	case carrier.OptedOut:
		details = "The customer asks for messages without OMEMO encryption. The relay does not send any: what the business writes is still encrypted."
	case carrier.TooLarge:
		details = "The message is larger than this relay reads."
	case carrier.Malformed, carrier.OverQuota, carrier.UnknownReference, carrier.NotEmoji:
		return details
	}
	if told {
		details += " The customer's client was told so."
	}
	return details
}
