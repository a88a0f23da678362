package cloudapi

import (
	"context"
	"errors"

	"github.com/relaykeep/relaykeep/relay/proof"
)

// Ledger is the relay's log.
type Ledger interface {
	proof.Source
	// Checkpoint returns the latest signed checkpoint. It returns ErrNoLogFile when there is none, as Tile does for a tile
	// that the log does not have.
	Checkpoint(ctx context.Context) ([]byte, error)
}

// ErrNoLogFile means that the log has no such tile, or no checkpoint yet.
var ErrNoLogFile = errors.New("the log has no such file")
