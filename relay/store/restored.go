package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// RestoredMarker is the name of an empty file in the store's directory by which
// whoever put an older copy of the database in place says so. The store removes it.
const RestoredMarker = "restored"

// OnVolume names the volume that the directory lies on: on another one, the database
// is a copy. Empty means that it is not known.
func OnVolume(name string) Option { return func(o *options) { o.volume = name } }

// origin is where a database file lies, as far as it can be told.
type origin struct {
	birth  int64 // of the file, nanoseconds since 1970; 0 where the file system does not keep it
	volume string
}

func (o origin) String() string { return strconv.FormatInt(o.birth, 10) + "/" + o.volume }

// parseOrigin reads what String wrote. What it cannot read says nothing.
func parseOrigin(s string) origin {
	birth, volume, _ := strings.Cut(s, "/")
	n, err := strconv.ParseInt(birth, 10, 64)
	if err != nil {
		return origin{}
	}
	return origin{birth: n, volume: volume}
}

// moved says whether a database that lay at o lies elsewhere now. What is not known
// of either says nothing.
func (o origin) moved(now origin) bool {
	return o.birth != 0 && now.birth != 0 && o.birth != now.birth ||
		o.volume != "" && now.volume != "" && o.volume != now.volume
}

// checkOrigin notes where the database lies and whether it was restored.
func (s *Store) checkOrigin() error {
	s.origin.birth = birth(s.path)
	var recorded string
	found, err := s.writer.first(`SELECT value FROM meta WHERE key = 'origin'`, func(r row) error {
		value, err := r.bytes(0)
		recorded = string(value)
		return err
	})
	if err != nil {
		return fmt.Errorf("reading where the database lay: %w", err)
	}
	_, err = os.Lstat(s.marker())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("looking for the mark of a restored database: %w", err)
	}
	was := parseOrigin(recorded)
	s.restored.Store(err == nil || found && was.moved(s.origin))
	if s.restored.Load() || found && was == s.origin {
		return nil
	}
	return s.writer.transact(func() error { return recordOrigin(s.writer, s.origin) })
}

func (s *Store) marker() string { return filepath.Join(filepath.Dir(s.path), RestoredMarker) }

func recordOrigin(c *conn, o origin) error {
	_, err := c.run(`INSERT INTO meta (key, value) VALUES ('origin', ?)
		ON CONFLICT (key) DO UPDATE SET value = excluded.value`, []byte(o.String()))
	return err
}

// Restored says that the database was put in place since it was last open, and that
// DropRatchets has not been called since.
func (s *Store) Restored() bool { return s.restored.Load() }

// DropRatchets removes every session, every pre-key and what was begun with them, so that no key of theirs is
// used a second time, and runs fn, all in one transaction. After it the store is not
// Restored any more. Interrupted at any point, it is to be called again.
func (s *Store) DropRatchets(ctx context.Context, fn func(*Tx) error) error {
	err := s.Update(ctx, func(t *Tx) error {
		for _, table := range []string{tableSessions, tablePreKeys, tableBases} {
			if _, err := t.run(`DELETE FROM ` + table); err != nil {
				return err
			}
		}
		t.change = sum{}
		t.change.subtract(s.total) // nothing is left that counts
		if err := fn(t); err != nil {
			return err
		}
		return recordOrigin(t.conn, s.origin)
	})
	if err != nil {
		return fmt.Errorf("dropping sessions: %w", err)
	}
	if err := os.Remove(s.marker()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the mark of a restored database: %w", err)
	}
	s.restored.Store(false)
	s.tampered.Store(false)
	return nil
}

// birth returns when the file was made, or 0 where that is not kept. A copy of a file
// is a file of its own; a snapshot of a whole block device keeps the time, so the
// volume's name has to tell that one.
func birth(path string) int64 {
	var stat unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BTIME, &stat); err != nil ||
		stat.Mask&unix.STATX_BTIME == 0 {
		return 0
	}
	return stat.Btime.Sec*1e9 + int64(stat.Btime.Nsec)
}
