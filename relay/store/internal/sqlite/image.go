package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
)

// Image is a database as one file, for as long as it is open: no process can open the database meanwhile.
type Image struct {
	path string
	size int64
	lock *os.File
}

// Image ends what s reads and returns the database's file, which then holds everything. It takes s's place: close it
// instead of s.
func (s *Source) Image() (*Image, error) {
	i := &Image{path: s.files.path(), lock: s.lock}
	err := s.conn.close() // the last connection's end moves the log into the file
	log, logErr := os.Stat(i.path + "-wal")
	info, statErr := os.Stat(i.path)
	switch {
	case err != nil || statErr != nil:
		err = errors.Join(err, statErr)
	case logErr == nil && log.Size() > 0:
		err = errors.New("the database's log could not be moved into its file")
	default:
		i.size = info.Size()
		return i, nil
	}
	return nil, errors.Join(fmt.Errorf("preparing the database's file: %w", err), i.Close())
}

// Size is the file's, in bytes.
func (i *Image) Size() int64 { return i.size }

// Open opens the file for reading.
func (i *Image) Open(context.Context) (io.ReadCloser, error) {
	f, err := os.Open(i.path)
	if err != nil {
		return nil, fmt.Errorf("opening the database's file: %w", err)
	}
	return f, nil
}

// Close unlocks the directory.
func (i *Image) Close() error { return i.lock.Close() }

// arrivingName is the file that an image becomes before it is the directory's database.
const arrivingName = "arriving.db"

// Changer changes a database by statements that run executes.
type Changer func(run func(text string, args ...driver.Value) (int64, error)) error

// Place makes an image of so many bytes the directory's database, durably, after change has changed it in a transaction,
// which begins once the image was read to its end. There must be none in the directory yet (fs.ErrExist), and it must be f's (engine.ErrForeign)
// and of no newer release (engine.ErrNewer).
func Place(f Files, size int64, image io.Reader, change Changer) (err error) {
	if err := os.MkdirAll(f.Dir, 0o700); err != nil {
		return fmt.Errorf("making the store's directory: %w", err)
	}
	lock, err := lockDir(f.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := refuseMissing(f.path(), true); err == nil {
		return fmt.Errorf("placing a database: %w", fs.ErrExist)
	} else if !errors.Is(err, engine.ErrMissing) {
		return err
	}
	at := filepath.Join(f.Dir, arrivingName)
	if err := f.receive(at, size, image, change); err != nil {
		return errors.Join(err, remove(at), remove(at+"-journal"))
	}
	if err := os.Rename(at, f.path()); err != nil {
		return fmt.Errorf("placing a database: %w", err)
	}
	return syncDir(f.Dir)
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing what was not placed: %w", err)
	}
	return nil
}

// receive writes the image and changes it.
func (f Files) receive(at string, size int64, image io.Reader, change Changer) error {
	file, err := os.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("making the database's file: %w", err)
	}
	n, err := io.Copy(file, io.LimitReader(image, size+1)) // to its end, at which it may still fail
	if err == nil && n != size {
		err = errors.New("it is of another size")
	}
	err = errors.Join(err, file.Sync(), file.Close())
	if errors.Is(err, unix.ENOSPC) {
		err = errors.Join(engine.ErrFull, err)
	}
	if err != nil {
		return fmt.Errorf("writing the database's file: %w", err)
	}
	c, err := openConn(at, "journal_mode(DELETE)")
	if err != nil {
		return err
	}
	return errors.Join(f.adapt(c, change), c.close())
}

func (f Files) adapt(c *conn, change Changer) error {
	if err := checkOwner(c, f.Owner); err != nil {
		return err
	}
	texts, err := schemas()
	if err != nil {
		return err
	}
	if version, err := schemaVersion(c); err != nil {
		return err
	} else if version > len(texts) {
		return engine.ErrNewer
	}
	return c.transact(func() error { return change(c.run) })
}
