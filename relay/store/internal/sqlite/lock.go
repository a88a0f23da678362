package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
)

// lockName is the file whose lock says that a process has the store open. It is not the
// database file, which SQLite locks and unlocks by itself.
const lockName = "lock"

// lockDir takes the directory's lock for as long as the returned file is open. The
// kernel drops it when the process dies.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the store's lock: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = engine.ErrLocked
	}
	return nil, errors.Join(fmt.Errorf("locking the store: %w", err), f.Close())
}
