package message

import (
	"context"
	"crypto/sha256"
	"log/slog"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/store"
)

var _ carrier.Handler = (*Service)(nil)

// Receive implements carrier.Handler. Messages, reactions, receipts and bounces, of which there are
// many, share a commit; everything else is stored by itself, in order. A message that need not be
// stored counts as received. An error means that the store failed.
func (s *Service) Receive(ctx context.Context, events []carrier.Event) error {
	b := &base.Batch{Store: s.base.Store, Came: s.base.Now()}
	var err error
	for _, ev := range events {
		if err = s.receiveEvent(ctx, b, ev); err != nil {
			break
		}
	}
	if failed := b.Settle(); err == nil {
		err = failed
	}
	return err
}

// receiveEvent receives one event.
func (s *Service) receiveEvent(ctx context.Context, b *base.Batch, ev carrier.Event) error {
	switch ev := ev.(type) {
	case carrier.Message:
		return s.inbound.Message(ctx, b, ev)
	case carrier.Unread:
		return s.inbound.Unread(ctx, ev)
	case carrier.Reaction:
		return s.inbound.Reaction(ctx, b, ev)
	case carrier.Retraction:
		return s.inbound.Retraction(ctx, b, ev)
	case carrier.Receipt:
		s.outbound.Receipt(ctx, b, ev)
	case carrier.Bounce:
		s.outbound.Bounced(ctx, b, ev)
	case carrier.DeviceList:
		// It reads the store, where an earlier message may be about to create the customer.
		if err := b.Settle(); err != nil {
			return err
		}
		return s.peers.DeviceList(ctx, ev)
	case carrier.OwnDeviceList:
		s.peers.OwnDevices(ctx, ev.Format, ev.Devices)
	case carrier.ContactAnswer:
		if err := b.Settle(); err != nil { // as above
			return err
		}
		return s.outbound.ContactAnswered(ctx, ev)
	case carrier.Connected:
		return s.connected(ctx, ev.Resumed)
	case carrier.CaughtUp:
		if err := b.Settle(); err != nil { // what came before must be stored
			return err
		}
		s.peers.CaughtUp()
	case carrier.Typing:
		s.outbound.CustomerTypes(ev)
	case carrier.Report:
		return s.reported(ctx, ev)
	}
	return nil
}

// reported counts a report of spam, once.
func (s *Service) reported(ctx context.Context, r carrier.Report) error {
	if r.ID != "" {
		var first bool
		err := s.base.Store.Update(ctx, func(tx *store.Tx) (err error) {
			first, err = tx.SeenCiphertext(sha256.Sum256([]byte("spam report\x00" + r.ID)))
			return err
		})
		if err != nil || !first {
			return err
		}
	}
	s.base.Conduct.Reported(s.base.Now())
	s.base.Log.LogAttrs(ctx, slog.LevelWarn, "the carrier forwarded a report of spam about the business")
	return nil
}

// connected notes that the link is up.
func (s *Service) connected(ctx context.Context, resumed bool) error {
	if !resumed {
		if err := s.outbound.ReleaseAll(ctx); err != nil {
			return err
		}
	}
	if s.peers.LinkUp(resumed) {
		s.blocklist.MirrorSoon()
	}
	s.outbound.Hurry()
	s.inbound.Hurry()
	return nil
}
