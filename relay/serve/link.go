package serve

import (
	"context"
	"errors"
	"sync"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/cloudapi"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// Reasons of the condition CarrierConnected beside those of the carrier itself.
const (
	ReasonConnected      = "Connected"
	ReasonForeignDevice  = "ForeignDevice"
	ReasonAccountMissing = "AccountMissing"
	ReasonAccountOther   = "AccountOfAnotherNumber"
)

// link is the carrier's place: messages are accepted and kept while the account is
// not at hand yet.
type link struct {
	mu      sync.Mutex // guards the following fields
	carrier carrier.Carrier
	failure error // why there is no carrier
}

func (l *link) set(c carrier.Carrier) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.carrier, l.failure = c, nil
}

// setFailure notes why there is no account and says whether that is new.
func (l *link) setFailure(err error) (changed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	was, _ := explain(l.failure)
	now, _ := explain(err)
	changed = l.failure == nil || was != now
	l.failure = err
	return changed
}

// get returns the carrier, or one that is offline.
func (l *link) get() carrier.Carrier {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.carrier == nil {
		return offline{}
	}
	return l.carrier
}

// condition is CarrierConnected, but for what only the messages know.
func (l *link) condition() contract.Condition {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := contract.Condition{Type: contract.ConditionCarrierConnected, Status: contract.False}
	switch {
	case errors.Is(l.failure, vault.ErrNotFound):
		c.Reason, c.Message = ReasonAccountMissing, "there is no carrier account in Vault: an admin must put username and password, with registration Token a token to register with, too, at the relay's path carrier, or the DataRegion must let relays register"
	case errors.Is(l.failure, errOtherAccount):
		c.Reason, c.Message = ReasonAccountOther, "the carrier account in Vault is another number's: its username must be the relay's phone number, with the plus sign"
	case l.failure != nil:
		c.Reason, c.Message = explain(l.failure)
	case l.carrier == nil:
		c.Status, c.Reason, c.Message = contract.Unknown, ReasonStarting, "the relay has not got to the carrier yet"
	default:
		s := l.carrier.Status()
		c.Reason, c.Message = s.Reason, s.Detail
		if s.State == carrier.Online {
			c.Status, c.Reason, c.Message = contract.True, ReasonConnected, "the link to the carrier is up"
		}
		if c.Reason == "" {
			c.Reason = string(s.State)
		}
	}
	return c
}

// PublishDevices implements message.Link, as the following methods do.
func (l *link) PublishDevices(ctx context.Context, devices []carrier.DeviceID) error {
	return l.get().PublishDevices(ctx, devices)
}

// PublishBundle implements message.Link.
func (l *link) PublishBundle(ctx context.Context, d carrier.DeviceID, b carrier.Bundle) error {
	return l.get().PublishBundle(ctx, d, b)
}

// Devices implements message.Link.
func (l *link) Devices(ctx context.Context, peer phone.Number) ([]carrier.DeviceID, error) {
	return l.get().Devices(ctx, peer)
}

// Bundle implements message.Link.
func (l *link) Bundle(ctx context.Context, peer phone.Number, d carrier.DeviceID) (carrier.Bundle, error) {
	return l.get().Bundle(ctx, peer, d)
}

// Send implements message.Link.
func (l *link) Send(ctx context.Context, o carrier.Outgoing) error { return l.get().Send(ctx, o) }

// SendReceipt implements message.Link.
func (l *link) SendReceipt(ctx context.Context, to phone.Number, id string, kinds ...carrier.ReceiptKind) error {
	return l.get().SendReceipt(ctx, to, id, kinds...)
}

// SendTyping implements message.Link.
func (l *link) SendTyping(ctx context.Context, to phone.Number, composing bool) error {
	return l.get().SendTyping(ctx, to, composing)
}

// Refuse implements message.Link.
func (l *link) Refuse(ctx context.Context, to phone.Number, r carrier.Refusal) error {
	return l.get().Refuse(ctx, to, r)
}

// offline is a carrier that is not there yet.
type offline struct{ carrier.Carrier }

func (offline) PublishDevices(context.Context, []carrier.DeviceID) error { return carrier.ErrOffline }

func (offline) PublishBundle(context.Context, carrier.DeviceID, carrier.Bundle) error {
	return carrier.ErrOffline
}

func (offline) Devices(context.Context, phone.Number) ([]carrier.DeviceID, error) {
	return nil, carrier.ErrOffline
}

func (offline) Bundle(context.Context, phone.Number, carrier.DeviceID) (carrier.Bundle, error) {
	return carrier.Bundle{}, carrier.ErrOffline
}

func (offline) Send(context.Context, carrier.Outgoing) error { return carrier.ErrOffline }

func (offline) SendReceipt(context.Context, phone.Number, string, ...carrier.ReceiptKind) error {
	return carrier.ErrOffline
}

func (offline) Refuse(context.Context, phone.Number, carrier.Refusal) error {
	return carrier.ErrOffline
}

func (offline) SendTyping(context.Context, phone.Number, bool) error { return carrier.ErrOffline }

// translate turns the messages' errors into those that the HTTP interface knows.
func translate(err error) error {
	switch {
	case errors.Is(err, message.ErrUnknownMessage):
		return cloudapi.ErrUnknownMessage
	case errors.Is(err, message.ErrUnknownMedia):
		return cloudapi.ErrUnknownFile
	case errors.Is(err, message.ErrMediaKind):
		return cloudapi.ErrFileKind
	case errors.Is(err, message.ErrBlockListFull):
		return cloudapi.ErrBlockListFull
	case errors.Is(err, store.ErrClosed), errors.Is(err, store.ErrFull), errors.Is(err, message.ErrNoRoom), errors.Is(err, context.Canceled):
		return cloudapi.ErrUnavailable
	}
	return err
}
