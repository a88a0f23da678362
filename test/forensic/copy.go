// Package forensic examines a stolen copy of a relay's volume with every right that
// anyone has: the files themselves, and Vault as its root. It lets time pass for a
// volume and a key without waiting. It must not know how a copy was come by.
package forensic

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the relay's store
)

// storeFile is the relay's store on its volume.
const storeFile = "relay.db"

// Copy is a copy of a volume's files.
type Copy struct{ Dir string }

// Take copies the store of a volume to a folder: the log of writes before the
// database that it belongs to, so that what a checkpoint moves meanwhile is at least
// in one of them.
func Take(volume, to string) (Copy, error) {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return Copy{}, fmt.Errorf("copying the volume: %w", err)
	}
	for _, name := range []string{storeFile + "-wal", storeFile} {
		data, err := os.ReadFile(filepath.Join(volume, name))
		if errors.Is(err, fs.ErrNotExist) && name != storeFile {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), data, 0o600)
		}
		if err != nil {
			return Copy{}, fmt.Errorf("copying the volume: %w", err)
		}
	}
	return Copy{Dir: to}, nil
}

// Epoch is a data key as it lies on a volume, an epoch's or the settings': wrapped.
type Epoch struct {
	ID      int64
	Wrapped string // "vault:v<version>:…", after "settings:" by a settings' key
}

// Version is the version of the wrapping key that wrapped the data key.
func (e Epoch) Version() int {
	_, rest, _ := strings.Cut(e.Wrapped, ":v")
	text, _, _ := strings.Cut(rest, ":")
	version, _ := strconv.Atoi(text) // 0 is no version
	return version
}

// Epochs returns the epochs of a volume or of a copy, oldest first.
func Epochs(ctx context.Context, dir string) ([]Epoch, error) {
	return epochsIn(ctx, dir, `SELECT id, wrapped FROM epochs ORDER BY id`)
}

// SettingsKeys returns the data keys of the settings of a volume or of a copy, oldest
// first.
func SettingsKeys(ctx context.Context, dir string) ([]Epoch, error) {
	return epochsIn(ctx, dir, `SELECT id, wrapped FROM settings_keys ORDER BY id`)
}

func epochsIn(ctx context.Context, dir, text string) (all []Epoch, err error) {
	err = query(ctx, dir, text, func(r *sql.Rows) error {
		var e Epoch
		err := r.Scan(&e.ID, &e.Wrapped)
		all = append(all, e)
		return err
	})
	return all, err
}

// settings returns the names of the settings, which are readable without any key.
func settings(ctx context.Context, dir string) (all []string, err error) {
	err = query(ctx, dir, `SELECT name FROM settings ORDER BY name`, func(r *sql.Rows) error {
		var name string
		err := r.Scan(&name)
		all = append(all, name)
		return err
	})
	return all, err
}

// query reads rows without any key.
func query(ctx context.Context, dir, text string, each func(*sql.Rows) error) (err error) {
	db, err := open(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	rows, err := db.QueryContext(ctx, text)
	if err != nil {
		return fmt.Errorf("reading the store: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := each(rows); err != nil {
			return fmt.Errorf("reading the store: %w", err)
		}
	}
	return rows.Err()
}

func open(dir string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, storeFile)+"?mode=rw&_pragma=busy_timeout(10000)")
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	return db, nil
}

// Age makes the epochs and the settings' keys of a volume older, as if so much time
// had passed since they were opened. Its relay must not run.
func Age(ctx context.Context, volume string, by time.Duration) (err error) {
	db, err := open(volume)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for _, table := range []string{"epochs", "settings_keys"} {
		if _, err := db.ExecContext(ctx, `UPDATE `+table+` SET created = created - ?`, by.Milliseconds()); err != nil {
			return fmt.Errorf("making the %s older: %w", table, err)
		}
	}
	return nil
}
