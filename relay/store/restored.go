package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// RestoredMarker is the name of an empty file in the store's directory. A person who puts an
// older copy of the database in place creates it to say so. The store removes it.
const RestoredMarker = "restored"

// checkOrigin notes where the database is and whether it was restored.
func (s *Store) checkOrigin(ctx context.Context) error {
	s.origin.birth = s.db.Birth()
	var recorded string
	found := false
	err := s.View(ctx, func(t *Tx) (err error) {
		recorded, found, err = t.recordedOrigin()
		return err
	})
	if err != nil {
		return fmt.Errorf("reading where the database lay: %w", err)
	}
	marked, err := s.marked()
	if err != nil {
		return err
	}
	was := parseOrigin(recorded)
	s.restored.Store(marked || found && was.moved(s.origin))
	if s.restored.Load() || found && was == s.origin {
		return nil
	}
	return s.Shrink(ctx, func(t *Tx) error { return t.recordOrigin(s.origin) })
}

// marked says whether there is a RestoredMarker. A database on a server has none: who restores it by
// hand says so in the database.
func (s *Store) marked() (bool, error) {
	if s.dir == "" {
		return false, nil
	}
	_, err := os.Lstat(s.marker())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("looking for the mark of a restored database: %w", err)
	}
	return err == nil, nil
}

func (s *Store) marker() string { return filepath.Join(s.dir, RestoredMarker) }

func (t *Tx) recordedOrigin() (recorded string, found bool, err error) {
	found, err = t.first(`SELECT value FROM meta WHERE key = 'origin'`, func(r row) error {
		value, err := r.bytes(0)
		recorded = string(value)
		return err
	})
	return recorded, found, err
}

func (t *Tx) recordOrigin(o origin) error {
	_, err := t.run(`INSERT INTO meta (key, value) VALUES ('origin', ?)
		ON CONFLICT (key) DO UPDATE SET value = excluded.value`, []byte(o.String()))
	return err
}

// Restored says that the database was put in place since it was last open, and that
// DropRatchets has not been called since.
func (s *Store) Restored() bool { return s.restored.Load() }

// DropRatchets removes every session, every pre-key and the base keys of what was begun with
// them, so that none of their keys is used a second time, and runs fn, all in one transaction.
// After it the store is no longer Restored. If it is interrupted, call it again.
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
		return t.recordOrigin(s.origin)
	})
	if err != nil {
		return fmt.Errorf("dropping sessions: %w", err)
	}
	if s.dir != "" {
		if err := os.Remove(s.marker()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing the mark of a restored database: %w", err)
		}
	}
	s.restored.Store(false)
	s.tampered.Store(false)
	return nil
}
