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
	s.room = newRoom(dir)
	s.writer, err = openConn(s.path, "journal_mode(WAL)", fmt.Sprintf("journal_size_limit(%d)", s.room.log),
		fmt.Sprintf("wal_autocheckpoint(%d)", s.room.log/pageSize))
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
	if _, err := s.writer.run(textMendJobs); err != nil && !errors.Is(err, ErrFull) {
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
	bound, err := ownerIn(s.writer)
	if err != nil {
		return err
	}
	if string(bound) != string(storeID[:]) {
		return ErrForeignStore
	}
	return nil
}

// ownerIn reads the 16 bytes of the store's id, or returns ErrForeignStore where the
// database is none of ours.
func ownerIn(c *conn) ([]byte, error) {
	application, err := c.integer("PRAGMA application_id")
	if err != nil {
		return nil, err
	}
	if application != applicationID {
		return nil, ErrForeignStore
	}
	var bound []byte
	_, err = c.first(`SELECT value FROM meta WHERE key = 'store'`, func(r row) error {
		bound, err = r.bytes(0)
		return err
	})
	if errors.Is(err, seal.ErrTampered) || err == nil && len(bound) != 16 {
		return nil, ErrForeignStore
	}
	return bound, err
}

// syncDir makes new files' names durable: SQLite syncs what is in them.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("opening the store's directory: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// Owner says what is known of a store without any key.
type Owner struct {
	StoreID [16]byte
	// Used says that something may have been sealed in it.
	Used bool
}

// OwnerOf reads whose store lies in dir; nil without error when there is none. It
// changes nothing and needs no lock. Errors are ErrForeignStore, ErrDamaged, or those
// of the file system.
func OwnerOf(dir string) (owner *Owner, err error) {
	path := filepath.Join(dir, databaseName)
	if err := refuseMissing(path, true); errors.Is(err, ErrStoreMissing) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	c, err := openConn(path, "query_only(1)")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	if version, err := schemaVersion(c); err != nil || version == 0 {
		return nil, err
	}
	bound, err := ownerIn(c)
	if err != nil {
		return nil, err
	}
	epochs, err := c.integer(`SELECT count(*) FROM epochs`)
	return &Owner{StoreID: [16]byte(bound), Used: epochs > 0}, err
}
