package message

import (
	"context"

	"github.com/relaykeep/relaykeep/relay/carrier"
)

var _ carrier.Handler = (*Service)(nil)

// Receive implements carrier.Handler. What is about messages, of which there are many,
// shares a commit; all else is stored by itself, in its turn. A message that will never
// be worth storing counts as taken; an error means that the store failed.
func (s *Service) Receive(ctx context.Context, events []carrier.Event) error {
	b := &batch{store: s.Store}
	var err error
	for _, ev := range events {
		if err = s.receiveEvent(ctx, b, ev); err != nil {
			break
		}
	}
	if failed := b.settle(); err == nil {
		err = failed
	}
	return err
}

// receiveEvent takes one event.
func (s *Service) receiveEvent(ctx context.Context, b *batch, ev carrier.Event) error {
	switch ev := ev.(type) {
	case carrier.Message:
		return s.message(ctx, b, ev)
	case carrier.Unread:
		return s.unread(ctx, ev)
	case carrier.Receipt:
		s.receipt(ctx, b, ev)
	case carrier.Bounce:
		s.bounced(ctx, b, ev)
	case carrier.DeviceList:
		// It looks at what is stored, and a message before it may be the customer's first.
		if err := b.settle(); err != nil {
			return err
		}
		return s.deviceList(ctx, ev)
	case carrier.OwnDeviceList:
		s.ownDevices(ctx, ev.Devices)
	case carrier.Connected:
		s.connected(ev.Resumed)
	case carrier.CaughtUp:
		if err := b.settle(); err != nil { // what came before must be stored
			return err
		}
		s.caughtUp()
	case carrier.Typing:
		s.customerTypes(ev)
	}
	return nil
}
