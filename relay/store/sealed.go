package store

import (
	"errors"

	"github.com/relaykeep/relaykeep/relay/seal"
)

// open opens a sealed value. A row whose epoch is erased counts as gone (ErrNotFound) until a
// sweep removes it.
func (t *Tx) open(epoch int64, purpose string, row, sealed []byte) ([]byte, error) {
	plain, err := t.shared.keys.Open(epoch, purpose, row, sealed)
	if errors.Is(err, seal.ErrErased) {
		return nil, errors.Join(ErrNotFound, err)
	}
	return plain, err
}

// gone turns the error of a damaged row into ErrNotFound, too: one customer's unreadable row
// must not look like a failed store.
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
