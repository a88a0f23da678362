package message

import (
	"context"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/store"
)

var _ carrier.Handler = (*Service)(nil)

// Receive implements carrier.Handler. What is about messages, of which there are many,
// shares a commit; all else is stored by itself, in its turn. A message that will never
// be worth storing counts as taken; an error means that the store failed.
func (s *Service) Receive(ctx context.Context, events []carrier.Event) error {
	g := &group{Service: s}
	var err error
	for _, ev := range events {
		if err = g.take(ctx, ev); err != nil {
			break
		}
	}
	if failed := g.settle(); err == nil {
		err = failed
	}
	return err
}

// group is a Service that takes several events before it waits for the store.
type group struct {
	*Service
	waits []func() error
}

// take takes one event.
func (g *group) take(ctx context.Context, ev carrier.Event) error {
	switch ev := ev.(type) {
	case carrier.Message:
		return g.message(ctx, ev)
	case carrier.Unread:
		return g.unread(ctx, ev)
	case carrier.Receipt:
		g.receipt(ctx, ev)
	case carrier.Bounce:
		g.bounced(ctx, ev)
	case carrier.DeviceList:
		// It looks at what is stored, and a message before it may be the customer's first.
		if err := g.settle(); err != nil {
			return err
		}
		return g.deviceList(ctx, ev)
	case carrier.OwnDeviceList:
		g.ownDevices(ctx, ev.Devices)
	case carrier.Connected:
		g.connected(ev.Resumed)
	case carrier.CaughtUp:
		if err := g.settle(); err != nil { // what came before must be stored
			return err
		}
		g.link.caught()
	case carrier.Typing:
		g.customerTypes(ev)
	}
	return nil
}

// settle waits until what the group was given is stored.
func (g *group) settle() (err error) {
	for _, wait := range g.waits {
		if failed := wait(); err == nil {
			err = failed // of the others most fail for the same reason
		}
	}
	g.waits = nil
	return err
}

// update has a change of the store made in its turn; done gets its outcome and
// returns that of the whole.
func (g *group) update(ctx context.Context, change func(*store.Tx) error, done func(error) error) {
	wait := g.Store.Begin(ctx, change)
	g.waits = append(g.waits, func() error { return done(wait()) })
}
