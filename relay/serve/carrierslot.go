package serve

import (
	"context"
	"errors"
	"sync"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// Reasons of the condition CarrierConnected, in addition to those of the carrier itself.
const (
	ReasonConnected      = "Connected"
	ReasonPublishing     = "PublishingKeys"
	ReasonForeignDevice  = "ForeignDevice"
	ReasonAccountMissing = "AccountMissing"
	ReasonAccountOther   = "AccountOfAnotherNumber"
)

// carrierSlot is the carrier's place: messages are accepted and kept while there is no account
// yet.
var _ carrier.Blocker = (*carrierSlot)(nil)

type carrierSlot struct {
	mu      sync.Mutex // guards the following fields
	carrier carrier.Carrier
	failure error // why there is no carrier
}

func (l *carrierSlot) set(c carrier.Carrier) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.carrier, l.failure = c, nil
}

// setFailure notes why there is no account and says whether that is new.
func (l *carrierSlot) setFailure(err error) (changed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	was, _ := explain(l.failure)
	now, _ := explain(err)
	changed = l.failure == nil || was != now
	l.failure = err
	return changed
}

// get returns the carrier, or one that is offline.
func (l *carrierSlot) get() carrier.Carrier {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.carrier == nil {
		return offline{}
	}
	return l.carrier
}

// status is the link's; known is false while there is no account to link with.
func (l *carrierSlot) status() (s carrier.Status, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.carrier == nil {
		return s, false
	}
	return l.carrier.Status(), true
}

// condition is CarrierConnected, except for what only the messages know.
func (l *carrierSlot) condition() contract.Condition {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := contract.Condition{Type: contract.ConditionCarrierConnected, Status: contract.False}
	switch {
	case errors.Is(l.failure, vault.ErrNotFound):
		c.Reason, c.Message = ReasonAccountMissing, "there is no carrier account in Vault: an admin has to add one with kubectl relay setup carrier-account, or the DataRegion has to let relays register"
	case errors.Is(l.failure, errOtherAccount):
		c.Reason, c.Message = ReasonAccountOther, "the carrier account in Vault is for another number: its username must be the relay's phone number, with the plus sign"
	case l.failure != nil:
		c.Reason, c.Message = explain(l.failure)
	case l.carrier == nil:
		c.Status, c.Reason, c.Message = contract.Unknown, ReasonStarting, "the relay has not connected to the carrier yet"
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

// PublishDevices implements message.Carrier, as the following methods do.
func (l *carrierSlot) PublishDevices(ctx context.Context, f carrier.Format, devices []carrier.DeviceID) error {
	return l.get().PublishDevices(ctx, f, devices)
}

// PublishBundle implements message.Carrier.
func (l *carrierSlot) PublishBundle(ctx context.Context, d carrier.DeviceID, b carrier.Bundle) error {
	return l.get().PublishBundle(ctx, d, b)
}

// Devices implements message.Carrier.
func (l *carrierSlot) Devices(ctx context.Context, peer phone.Number, f carrier.Format) ([]carrier.DeviceID, error) {
	return l.get().Devices(ctx, peer, f)
}

// Bundle implements message.Carrier.
func (l *carrierSlot) Bundle(ctx context.Context, peer phone.Number, d carrier.DeviceID, f carrier.Format) (carrier.Bundle, error) {
	return l.get().Bundle(ctx, peer, d, f)
}

// Contact implements message.Carrier.
func (l *carrierSlot) Contact(ctx context.Context, peer phone.Number, ask bool) (carrier.ContactState, error) {
	return l.get().Contact(ctx, peer, ask)
}

// Nickname implements message.Carrier.
func (l *carrierSlot) Nickname(ctx context.Context, peer phone.Number) (string, error) {
	return l.get().Nickname(ctx, peer)
}

// Send implements message.Carrier.
func (l *carrierSlot) Send(ctx context.Context, o carrier.Outgoing) error {
	return l.get().Send(ctx, o)
}

// SendReceipts implements message.Carrier.
func (l *carrierSlot) SendReceipts(ctx context.Context, receipts ...carrier.OutgoingReceipt) error {
	return l.get().SendReceipts(ctx, receipts...)
}

// SendReaction implements message.Carrier.
func (l *carrierSlot) SendReaction(ctx context.Context, r carrier.OutgoingReaction) error {
	return l.get().SendReaction(ctx, r)
}

// SendTyping implements message.Carrier.
func (l *carrierSlot) SendTyping(ctx context.Context, to phone.Number, composing bool) error {
	return l.get().SendTyping(ctx, to, composing)
}

// Refuse implements message.Carrier.
func (l *carrierSlot) Refuse(ctx context.Context, to phone.Number, r carrier.Refusal) error {
	return l.get().Refuse(ctx, to, r)
}

// offline is a carrier that is not there yet.
type offline struct{ carrier.Carrier }

func (offline) PublishDevices(context.Context, carrier.Format, []carrier.DeviceID) error {
	return carrier.ErrOffline
}

func (offline) PublishBundle(context.Context, carrier.DeviceID, carrier.Bundle) error {
	return carrier.ErrOffline
}

func (offline) Devices(context.Context, phone.Number, carrier.Format) ([]carrier.DeviceID, error) {
	return nil, carrier.ErrOffline
}

func (offline) Bundle(context.Context, phone.Number, carrier.DeviceID, carrier.Format) (carrier.Bundle, error) {
	return carrier.Bundle{}, carrier.ErrOffline
}

func (offline) Nickname(context.Context, phone.Number) (string, error) {
	return "", carrier.ErrOffline
}

func (offline) Send(context.Context, carrier.Outgoing) error { return carrier.ErrOffline }

func (offline) SendReceipts(context.Context, ...carrier.OutgoingReceipt) error {
	return carrier.ErrOffline
}

func (offline) Refuse(context.Context, phone.Number, carrier.Refusal) error {
	return carrier.ErrOffline
}

func (offline) SendReaction(context.Context, carrier.OutgoingReaction) error {
	return carrier.ErrOffline
}
func (offline) SendTyping(context.Context, phone.Number, bool) error { return carrier.ErrOffline }

// UploadSlot implements carrier.Uploads.
func (l *carrierSlot) UploadSlot(ctx context.Context, name string, size int64) (carrier.Slot, error) {
	u, ok := l.get().(carrier.Uploads)
	if !ok {
		return carrier.Slot{}, carrier.ErrOffline
	}
	return u.UploadSlot(ctx, name, size)
}

// Forget removes a peer from the carrier's contact list. While there is no account, there is no
// list.
func (l *carrierSlot) Forget(ctx context.Context, peer phone.Number) error {
	if c, ok := l.get().(interface {
		Forget(context.Context, phone.Number) error
	}); ok {
		return c.Forget(ctx, peer)
	}
	return carrier.ErrOffline
}

// blocker returns the carrier's block list, or one that is offline.
func (l *carrierSlot) blocker() carrier.Blocker {
	if b, ok := l.get().(carrier.Blocker); ok {
		return b
	}
	return offline{}
}

// Blocked implements carrier.Blocker.
func (l *carrierSlot) Blocked(ctx context.Context) ([]phone.Number, error) {
	return l.blocker().Blocked(ctx)
}

// Block implements carrier.Blocker.
func (l *carrierSlot) Block(ctx context.Context, n []phone.Number) error {
	return l.blocker().Block(ctx, n)
}

// Unblock implements carrier.Blocker.
func (l *carrierSlot) Unblock(ctx context.Context, n []phone.Number) error {
	return l.blocker().Unblock(ctx, n)
}

func (offline) Blocked(context.Context) ([]phone.Number, error) { return nil, carrier.ErrOffline }

func (offline) Block(context.Context, []phone.Number) error { return carrier.ErrOffline }

func (offline) Unblock(context.Context, []phone.Number) error { return carrier.ErrOffline }
