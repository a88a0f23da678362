package carrier

import (
	"context"

	"github.com/relaykeep/relaykeep/relay/phone"
)

// Blocker is a carrier with a block list: it holds back the messages of the numbers on it
// (XEP-0191). All calls return ErrNotFound when the carrier has no such list.
type Blocker interface {
	// Blocked returns the numbers on the account's list.
	Blocked(ctx context.Context) ([]phone.Number, error)
	Block(ctx context.Context, numbers []phone.Number) error
	Unblock(ctx context.Context, numbers []phone.Number) error
}
