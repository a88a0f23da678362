package store

import (
	"errors"

	"github.com/relaykeep/relaykeep/relay/seal"
)

// open opens a sealed value. A row whose epoch is erased is as good as gone:
// ErrNotFound, until a sweep removes it.
func (t *Tx) open(epoch int64, purpose string, row, sealed []byte) ([]byte, error) {
	plain, err := t.shared.keys.Open(epoch, purpose, row, sealed)
	if errors.Is(err, seal.ErrErased) {
		return nil, errors.Join(ErrNotFound, err)
	}
	return plain, err
}

// gone makes the error of a damaged row ErrNotFound, too: one customer's row that cannot
// be opened is that customer's trouble and no failed store.
func gone(err error) error {
	if errors.Is(err, seal.ErrTampered) && !errors.Is(err, ErrNotFound) {
		return errors.Join(ErrNotFound, err)
	}
	return err
}

// outdated says whether a row of this epoch should move into the current one.
func (t *Tx) outdated(epoch int64) bool {
	if !t.writes {
		return false
	}
	current, err := t.shared.keys.Current()
	return err == nil && epoch < current
}
