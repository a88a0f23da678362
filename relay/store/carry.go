package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"

	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store/internal/sqlite"
)

// Departing is a store that is taken elsewhere, as it is, sealed. No process can open it before Close.
type Departing struct {
	// Epochs and Settings name the data keys of its rows and of its settings, which have to be wrapped again where it goes.
	Epochs, Settings []seal.Epoch

	content content
}

// content is the store's bytes.
type content interface {
	Size() int64
	Open(context.Context) (io.ReadCloser, error)
	Close() error
}

// Depart prepares the store in dir, which belongs to storeID and no process has open. It changes nothing in it. Errors are
// those of Open.
func Depart(dir string, storeID [16]byte) (*Departing, error) {
	from, err := sqlite.OpenSource(sqlite.Files{Dir: dir, Owner: storeID})
	if err != nil {
		return nil, err
	}
	d := &Departing{}
	if err := d.readKeys(from); err != nil {
		return nil, errors.Join(err, from.Close())
	}
	image, err := from.Image()
	if err != nil {
		return nil, err
	}
	d.content = image
	return d, nil
}

// readKeys reads the data keys' tables.
func (d *Departing) readKeys(from querier) error {
	for table, to := range map[string]*[]seal.Epoch{"epochs": &d.Epochs, "settings_keys": &d.Settings} {
		err := from.Rows(`SELECT id, created, wrapped FROM `+table+` ORDER BY id`, func(row []driver.Value) error {
			id, isID := row[0].(int64)
			created, isTime := row[1].(int64)
			wrapped, isText := row[2].(string)
			if !isID || !isTime || !isText {
				return ErrDamaged
			}
			*to = append(*to, seal.Epoch{ID: id, Created: fromMillis(created), Wrapped: wrapped})
			return nil
		})
		if err != nil {
			return fmt.Errorf("reading the data keys' table: %w", err)
		}
	}
	return nil
}

// Size is how many bytes Open's reader returns.
func (d *Departing) Size() int64 { return d.content.Size() }

// Open returns a reader of the store, from its beginning. It is the same at each time.
func (d *Departing) Open(ctx context.Context) (io.ReadCloser, error) { return d.content.Open(ctx) }

// Close lets other processes open the store again.
func (d *Departing) Close() error { return d.content.Close() }

// Arriving is a store that comes from elsewhere.
type Arriving struct {
	StoreID [16]byte
	Size    int64 // in bytes
	// Restored says that the store was restored and not opened since.
	Restored bool
	// Wrap returns what each data key is wrapped as here, by its number: those of rows and those of settings. It is
	// called once the whole store was read.
	Wrap func() (epochs, settings map[int64]string, err error)
}

// Place puts the store that from reads into dir, where there must be none (fs.ErrExist), durably. When it fails, there is
// none as before. Errors are also ErrForeignStore, ErrNewer, ErrDamaged, ErrFull, ErrLocked and those of from and Wrap.
func (a Arriving) Place(dir string, from io.Reader) error {
	where := origin{}.String() // not known: it is noted when the store is opened
	if a.Restored {
		where = elsewhere
	}
	return sqlite.Place(sqlite.Files{Dir: dir, Owner: a.StoreID}, a.Size, from, func(run func(string, ...driver.Value) (int64, error)) error {
		epochs, settings, err := a.Wrap()
		if err != nil {
			return err
		}
		for table, keys := range map[string]map[int64]string{"epochs": epochs, "settings_keys": settings} {
			for id, wrapped := range keys {
				if n, err := run(`UPDATE `+table+` SET wrapped = ? WHERE id = ?`, wrapped, id); err != nil || n != 1 {
					return errors.Join(err, fmt.Errorf("wrapping the data keys again: %w", ErrDamaged))
				}
			}
		}
		_, err = run(`INSERT INTO meta (key, value) VALUES ('origin', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`, []byte(where))
		return err
	})
}
