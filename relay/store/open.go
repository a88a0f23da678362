package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/relaykeep/relaykeep/relay/seal"
)

// databaseName is the database's file in the store's directory; SQLite puts its
// log and index beside it.
const databaseName = "relay.db"

// openFile locks dir, opens or makes the database in it, and checks whose it is.
func (s *Store) openFile(dir string, storeID [16]byte, mustExist bool) (err error) {
	s.path = filepath.Join(dir, databaseName)
	if err := refuseMissing(s.path, mustExist); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the store's directory: %w", err)
	}
	if s.lock, err = lockDir(dir); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.lock.Close())
		}
	}()
	s.writer, err = openConn(s.path, "journal_mode(WAL)", "journal_size_limit(16777216)", "wal_autocheckpoint(4000)")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.writer.close())
		}
	}()
	if err := s.prepareSchema(storeID, mustExist); err != nil {
		return err
	}
	if err := s.next.load(s.writer); err != nil {
		return err
	}
	return syncDir(dir)
}

// refuseMissing returns ErrStoreMissing when there must be a database and none is.
func refuseMissing(path string, mustExist bool) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.Size() > 0:
		return nil
	case err == nil || errors.Is(err, fs.ErrNotExist):
		if mustExist {
			return ErrStoreMissing
		}
		return nil
	default:
		return fmt.Errorf("looking for the database: %w", err)
	}
}

// prepareSchema brings the schema up to date and binds a new store to storeID, in
// the one transaction that makes it; an old one must be bound to it.
func (s *Store) prepareSchema(storeID [16]byte, mustExist bool) error {
	version, err := schemaVersion(s.writer)
	if err != nil {
		return err
	}
	if version == 0 && mustExist {
		return ErrStoreMissing
	}
	if version > 0 {
		if err := s.checkOwner(storeID); err != nil {
			return err
		}
	}
	return migrate(s.writer, func() error {
		_, err := s.writer.run(`INSERT INTO meta (key, value) VALUES ('store', ?)`, storeID[:])
		return err
	})
}

func (s *Store) checkOwner(storeID [16]byte) error {
	application, err := s.writer.integer("PRAGMA application_id")
	if err != nil {
		return err
	}
	if application != applicationID {
		return ErrForeignStore
	}
	var bound []byte
	_, err = s.writer.first(`SELECT value FROM meta WHERE key = 'store'`, func(r row) error {
		bound, err = r.bytes(0)
		return err
	})
	if errors.Is(err, seal.ErrTampered) {
		return ErrForeignStore
	}
	if err != nil {
		return err
	}
	if string(bound) != string(storeID[:]) {
		return ErrForeignStore
	}
	return nil
}

// syncDir makes new files' names durable: SQLite syncs what is in them.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("opening the store's directory: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}
