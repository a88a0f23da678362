package sqlite

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"

	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
)

// SQLite's primary result codes (sqlite.org/rescode.html) that a caller decides on.
const (
	codeNoMemory  = 7
	codeInterrupt = 9
	codeIO        = 10
	codeCorrupt   = 11
	codeFull      = 13
	codeNotADB    = 26
	// codeNoIndex (SQLITE_IOERR_SHMSIZE) is how SQLite says that the log's index, which is in
	// its own file, had no room to grow.
	codeNoIndex = codeIO | 19<<8
)

// typed gives SQLite's errors their meaning. Their texts name tables and columns,
// never values.
func typed(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	if e.Code() == codeNoIndex {
		return fmt.Errorf("%w: %w", engine.ErrFull, err)
	}
	switch e.Code() & 0xff {
	case codeCorrupt, codeNotADB:
		return fmt.Errorf("%w: %w", engine.ErrDamaged, err)
	case codeFull:
		return fmt.Errorf("%w: %w", engine.ErrFull, err)
	}
	return err
}
