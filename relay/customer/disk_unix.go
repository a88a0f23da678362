//go:build unix

package customer

import (
	"errors"
	"os"
	"syscall"
)

// lock locks a file for this process until it is closed, and fails at once if another
// process has locked it.
func lock(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}

// syncDir makes a change of a directory's names outlast a crash.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
