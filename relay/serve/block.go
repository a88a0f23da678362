package serve

import (
	"context"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/phone"
)

var _ carrier.Blocker = (*link)(nil)

// blocker returns the carrier's block list, or one that is offline.
func (l *link) blocker() carrier.Blocker {
	if b, ok := l.get().(carrier.Blocker); ok {
		return b
	}
	return offline{}
}

// Blocked implements carrier.Blocker.
func (l *link) Blocked(ctx context.Context) ([]phone.Number, error) { return l.blocker().Blocked(ctx) }

// Block implements carrier.Blocker.
func (l *link) Block(ctx context.Context, n []phone.Number) error { return l.blocker().Block(ctx, n) }

// Unblock implements carrier.Blocker.
func (l *link) Unblock(ctx context.Context, n []phone.Number) error {
	return l.blocker().Unblock(ctx, n)
}

func (offline) Blocked(context.Context) ([]phone.Number, error) { return nil, carrier.ErrOffline }

func (offline) Block(context.Context, []phone.Number) error { return carrier.ErrOffline }

func (offline) Unblock(context.Context, []phone.Number) error { return carrier.ErrOffline }

// Block implements cloudapi.Service.
func (s service) Block(ctx context.Context, n []phone.Number) error {
	return translate(s.Service.Block(ctx, n))
}

// Unblock implements cloudapi.Service.
func (s service) Unblock(ctx context.Context, n []phone.Number) error {
	return translate(s.Service.Unblock(ctx, n))
}

// Blocked implements cloudapi.Service.
func (s service) Blocked(ctx context.Context) ([]phone.Number, error) {
	n, err := s.Service.Blocked(ctx)
	return n, translate(err)
}
