package sqlite

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
)

// Files says where a database lies and whose it is.
type Files struct {
	Dir       string
	Owner     [16]byte // a new database is bound to it, and an old one must be
	MustExist bool     // engine.ErrMissing when there is no database
}

// opened is a database that is open for writing, exclusively.
type opened struct {
	lock *os.File
	room *room
	conn *conn
}

func (o *opened) close() error { return errors.Join(o.conn.close(), o.lock.Close()) }

// Create makes an empty database, unless it is there already.
func Create(f Files) error {
	o, err := f.open()
	if err != nil {
		return err
	}
	return o.close()
}

func (f Files) path() string { return filepath.Join(f.Dir, databaseName) }

// open locks the directory, opens or creates the database in it, and checks whose it is.
func (f Files) open() (o *opened, err error) {
	if err := refuseMissing(f.path(), f.MustExist); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(f.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the store's directory: %w", err)
	}
	o = new(opened)
	if o.lock, err = lockDir(f.Dir); err != nil {
		return nil, err
	}
	o.room = newRoom(f.Dir)
	o.conn, err = openConn(f.path(), "journal_mode(WAL)", fmt.Sprintf("journal_size_limit(%d)", o.room.log),
		fmt.Sprintf("wal_autocheckpoint(%d)", o.room.log/pageSize))
	if err != nil {
		return nil, errors.Join(err, o.lock.Close())
	}
	if err = f.prepareSchema(o.conn); err == nil {
		err = syncDir(f.Dir)
	}
	if err != nil {
		return nil, errors.Join(err, o.close())
	}
	return o, nil
}

// refuseMissing returns engine.ErrMissing when there must be a database but is none.
func refuseMissing(path string, mustExist bool) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.Size() > 0:
		return nil
	case err == nil || errors.Is(err, fs.ErrNotExist):
		if mustExist {
			return engine.ErrMissing
		}
		return nil
	default:
		return fmt.Errorf("looking for the database: %w", err)
	}
}

// prepareSchema brings the schema up to date and binds a new database to its owner, in the
// transaction that creates it; an old one must be bound to the owner already.
func (f Files) prepareSchema(c *conn) error {
	version, err := schemaVersion(c)
	if err != nil {
		return err
	}
	if version == 0 && f.MustExist {
		return engine.ErrMissing
	}
	if version > 0 {
		if err := checkOwner(c, f.Owner); err != nil {
			return err
		}
	}
	return migrate(c, func() error {
		_, err := c.run(`INSERT INTO meta (key, value) VALUES ('store', ?)`, f.Owner[:])
		return err
	})
}

func checkOwner(c *conn, owner [16]byte) error {
	bound, err := ownerIn(c)
	if err != nil {
		return err
	}
	if string(bound) != string(owner[:]) {
		return engine.ErrForeign
	}
	return nil
}

// ownerIn reads the 16 bytes of the owner's ID, or returns engine.ErrForeign when the database
// is not one of ours.
func ownerIn(c *conn) ([]byte, error) {
	application, err := c.integer("PRAGMA application_id")
	if err != nil {
		return nil, err
	}
	switch application {
	case applicationID:
	case movedID:
		return nil, engine.ErrMoved
	default:
		return nil, engine.ErrForeign
	}
	var bound []byte
	err = c.rows(`SELECT value FROM meta WHERE key = 'store'`, func(row []driver.Value) error {
		bound, _ = row[0].([]byte)
		return nil
	})
	if err == nil && len(bound) != 16 {
		return nil, engine.ErrForeign
	}
	return bound, err
}

// syncDir makes new files' names durable; SQLite syncs their content.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("opening the store's directory: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// Owner is what is known about a database without any key.
type Owner struct {
	ID [16]byte
	// Used says that something may have been sealed in it: it has an epoch.
	Used bool
}

// OwnerOf reads whose database is in dir; nil without error when there is none. It changes
// nothing and needs no lock. Errors are engine.ErrForeign, engine.ErrDamaged, or those of the
// file system.
func OwnerOf(dir string) (owner *Owner, err error) {
	path := filepath.Join(dir, databaseName)
	if err := refuseMissing(path, true); errors.Is(err, engine.ErrMissing) {
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
	return &Owner{ID: [16]byte(bound), Used: epochs > 0}, err
}
