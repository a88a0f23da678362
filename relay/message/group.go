package message

import (
	"context"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/store"
)

var _ carrier.Grouper = (*Service)(nil)

// group is a Service that is given several things before it waits for the store.
// What is about messages, of which there are many, shares a commit; all else is
// stored one by one, in its turn.
type group struct {
	*Service
	waits []func() error
}

// Group implements carrier.Grouper.
func (s *Service) Group(ctx context.Context, fn func(carrier.Handler) error) error {
	g := &group{Service: s}
	err := fn(g)
	if failed := g.settle(); err == nil {
		err = failed
	}
	return err
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

// Devices is Service.Devices for one of a group: it looks at what is stored, and a
// message before it may be the customer's first.
func (g *group) Devices(ctx context.Context, peer phone.Number, devices []carrier.DeviceID) error {
	if err := g.settle(); err != nil {
		return err
	}
	return g.Service.Devices(ctx, peer, devices)
}

// CaughtUp is Service.CaughtUp for one of a group: what came before must be stored.
func (g *group) CaughtUp(ctx context.Context) error {
	if err := g.settle(); err != nil {
		return err
	}
	return g.Service.CaughtUp(ctx)
}

// Message implements carrier.Handler. It returns nil when the message is stored, or
// will never be worth storing; an error means that the store failed and that the
// carrier must bring it again.
func (s *Service) Message(ctx context.Context, m carrier.Message) error {
	return s.Group(ctx, func(h carrier.Handler) error { return h.Message(ctx, m) })
}

// Receipt implements carrier.Handler. A receipt counts only from the customer whom
// the message was sent to.
func (s *Service) Receipt(ctx context.Context, r carrier.Receipt) error {
	return s.Group(ctx, func(h carrier.Handler) error { return h.Receipt(ctx, r) })
}

// Bounced implements carrier.Handler. Of what was delivered one of several devices has
// it. Receipts and messages without content are not kept and not sent again: those that
// follow do what they were for. Until the next read marker, which covers those before it,
// a customer's client may lack a tick; each receipt that is sent again would take the place
// of a message where the queue is full.
func (s *Service) Bounced(ctx context.Context, b carrier.Bounce) error {
	return s.Group(ctx, func(h carrier.Handler) error { return h.Bounced(ctx, b) })
}
