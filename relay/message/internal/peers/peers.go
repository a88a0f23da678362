// Package peers knows with whom messages are exchanged: customers' devices with their identity
// keys and sessions, and our own keys with which they begin sessions. It must not know what a
// message says.
package peers

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/store"
)

// Peers is what we know about customers' devices, and they about ours.
type Peers struct {
	*base.Base
	link  linkState
	dirty chan struct{}
	owed  atomic.Bool // keys changed while there was no link to publish them on
	// shown says that customers find our keys: they were published since the process started.
	shown atomic.Bool

	mu sync.Mutex // guards the following fields
	// fetched holds when customers' devices were last learned from the carrier, since the
	// link came up.
	fetched map[list]fetch
	// missing holds when a device last turned out to publish no bundle.
	missing map[Device]time.Time
	// repaired holds when a new session was last offered to a device.
	repaired map[Device]time.Time
}

// New returns the peers of a relay, with none in memory yet.
func New(b *base.Base) *Peers {
	return &Peers{
		Base: b, dirty: make(chan struct{}, 1),
		fetched: map[list]fetch{}, missing: map[Device]time.Time{}, repaired: map[Device]time.Time{},
	}
}

// Device names one device of a customer, in one of the formats that it reads.
type Device struct {
	Customer store.CustomerID
	ID       carrier.DeviceID
	Format   carrier.Format
}

// list names one of a customer's device lists.
type list struct {
	customer store.CustomerID
	format   carrier.Format
}

// Why a customer has no device that we can write to.
var (
	// ErrUnreachable means that the customer publishes no keys.
	ErrUnreachable = errors.New("the customer has no device that reads encrypted messages")
	// ErrNoAccount means that the carrier says that the customer has no account.
	ErrNoAccount = errors.New("the customer has no account at the carrier")
	// ErrHidden means that the carrier does not show us the customer's keys.
	ErrHidden = errors.New("the customer shows their keys only to contacts")
)

// IsUnreachable says whether err says that a customer has no device that we can write to.
func IsUnreachable(err error) bool {
	return errors.Is(err, ErrUnreachable) || errors.Is(err, ErrNoAccount) || errors.Is(err, ErrHidden)
}

// unreachable turns the carrier's reason into ours; before is that of another device.
func unreachable(err, before error) error {
	switch {
	case errors.Is(err, carrier.ErrHidden), errors.Is(before, ErrHidden):
		return ErrHidden
	case errors.Is(err, carrier.ErrNoAccount):
		return ErrNoAccount
	}
	return ErrUnreachable
}

// isMissing says whether the carrier answered that we cannot have what we asked for.
func isMissing(err error) bool {
	return errors.Is(err, carrier.ErrNotFound) || errors.Is(err, carrier.ErrHidden) || errors.Is(err, carrier.ErrRejected)
}

// ErrIdentity means that no device of the recipient has the identity key that the
// business named.
var ErrIdentity = errors.New("no device has the identity key that was named")
