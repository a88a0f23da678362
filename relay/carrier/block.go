package carrier

import (
	"context"

	"github.com/relaykeep/relaykeep/relay/phone"
)

// Blocker is a carrier that keeps a list of whose messages it holds back (XEP-0191).
// All calls return ErrNotFound when it has none.
type Blocker interface {
	// Blocked returns the numbers on the account's list.
	Blocked(ctx context.Context) ([]phone.Number, error)
	Block(ctx context.Context, numbers []phone.Number) error
	Unblock(ctx context.Context, numbers []phone.Number) error
}
