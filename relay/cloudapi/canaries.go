package cloudapi

import (
	"context"
	"errors"
	"time"

	"github.com/relaykeep/relaykeep/relay/phone"
)

// Canaries announces the customer whose webhooks are kept back.
type Canaries interface {
	// Announce announces a canary. It may return ErrCanaryNumber and ErrCanaryTaken.
	Announce(ctx context.Context, n phone.Number) (Canary, error)
	// Announced returns the canary; ErrNoCanary if there is none.
	Announced(ctx context.Context) (Canary, error)
	// End erases the canary and ends the announcement. It may return ErrNoCanary.
	End(ctx context.Context) error
}

// Canary is the customer whose webhooks are kept back.
type Canary struct {
	UserID string
	Until  time.Time
	Kept   int64 // webhooks that are kept back
}

// Errors of Canaries.
var (
	// ErrNoCanary means that no canary is announced.
	ErrNoCanary = errors.New("no canary is announced")
	// ErrCanaryNumber means that a number could be somebody's.
	ErrCanaryNumber = errors.New("a canary's number must be nobody's")
	// ErrCanaryTaken means that another canary is announced, or a customer has that number.
	ErrCanaryTaken = errors.New("another canary is announced, or a customer has its number")
)
