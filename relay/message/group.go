package message

import (
	"context"
	"errors"

	"github.com/relaykeep/relaykeep/relay/carrier"
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
	for _, wait := range g.waits {
		err = errors.Join(err, wait())
	}
	return err
}

// update has a change of the store made in its turn; done gets its outcome and
// returns that of the whole.
func (g *group) update(ctx context.Context, change func(*store.Tx) error, done func(error) error) {
	wait := g.Store.Begin(ctx, change)
	g.waits = append(g.waits, func() error { return done(wait()) })
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
// follow do what they were for.
func (s *Service) Bounced(ctx context.Context, b carrier.Bounce) error {
	return s.Group(ctx, func(h carrier.Handler) error { return h.Bounced(ctx, b) })
}
