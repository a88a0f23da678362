package seal

import (
	"context"
	"errors"
	"time"
)

// Errors that a caller decides on.
var (
	// ErrErased means that the epoch's data key is gone, or was never known here: nobody can
	// open what was sealed in it.
	ErrErased = errors.New("seal: the epoch's key is erased")
	// ErrTampered means that a sealed value is not the one that was sealed for this row: it was
	// changed, truncated, moved from another row, or sealed with another key.
	ErrTampered = errors.New("seal: value fails authentication")
	// ErrNoEpoch means that no epoch is open to seal in.
	ErrNoEpoch = errors.New("seal: no epoch is open")
	// ErrExhausted means that an epoch's key has sealed as many values as it may.
	ErrExhausted = errors.New("seal: the epoch's key sealed as many values as it may")
	// ErrBadKey means that the wrapper returned something that is not a data key.
	ErrBadKey = errors.New("seal: the wrapper returned no 32-byte key")
)

// KeySize is the length of a data key in bytes.
const KeySize = 32

// MinPeriod is the shortest period: Vault cannot rotate its keys faster.
const MinPeriod = time.Hour

// Period returns how long one data key is used when nothing may be readable for
// longer than retention: a thirtieth of it, at least MinPeriod.
func Period(retention time.Duration) time.Duration {
	return max(retention/30, MinPeriod)
}

// Wrapper makes and unwraps data keys. Implementations are safe for concurrent
// use.
type Wrapper interface {
	// DataKey returns a new random 32-byte key, in the clear for the caller to overwrite, and
	// wrapped.
	DataKey(ctx context.Context) (plain []byte, wrapped string, err error)
	// Unwrap returns the key that DataKey wrapped. An error that is ErrErased
	// means that nobody can ever unwrap it again; any other, that it may work
	// later.
	Unwrap(ctx context.Context, wrapped string) ([]byte, error)
}

// Epoch names one data key, as it is stored beside what it seals.
type Epoch struct {
	ID      int64  // 1 and up, never used twice in one store
	Wrapped string // by the Wrapper; not secret
	Created time.Time
}
