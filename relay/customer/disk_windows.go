package customer

import (
	"os"

	"golang.org/x/sys/windows"
)

// lock locks a file for this process until it is closed, and fails at once if another
// process has locked it.
func lock(f *os.File) error {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	return windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, &windows.Overlapped{})
}

// syncDir does nothing: Windows flushes no directories, and NTFS journals the names.
func syncDir(string) error { return nil }
