package desktop

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// nobody is the number of Debian's user and group without rights.
const nobody = 65534

// as is the command that makes its arguments run as the program's user. Inside a namespace
// of users of our own, where we are root, that is the user who we are outside.
func (s *Session) as() string {
	switch id := os.Geteuid(); {
	case !s.o.NotRoot:
		return ""
	case id == 0:
		return fmt.Sprintf("setpriv --reuid %d --regid %d --clear-groups", nobody, nobody)
	default:
		return fmt.Sprintf("unshare --user --map-user %d --map-group %d", id, os.Getegid())
	}
}

// user is the program's user for what runs outside its namespaces: the session bus takes
// no other. Nil is our own.
func (s *Session) user() *syscall.SysProcAttr {
	if !s.o.NotRoot || os.Geteuid() != 0 {
		return nil
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
}

// handOver gives the program's user what is in the session's directory.
func (s *Session) handOver() error {
	if s.user() == nil {
		return nil
	}
	return filepath.WalkDir(filepath.Dir(s.Home), func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, nobody, nobody))
	})
}

// Give puts a copy of a file where the program's user can read it, and returns its path.
func (s *Session) Give(path string) (string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("reading a file for the program: %w", err)
	}
	given := filepath.Join(s.Home, filepath.Base(path))
	if err = os.WriteFile(given, content, 0o600); err == nil && s.user() != nil {
		err = os.Chown(given, nobody, nobody)
	}
	if err != nil {
		return "", fmt.Errorf("giving a file to the program: %w", err)
	}
	return given, nil
}
