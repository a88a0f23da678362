package sqlite

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"

	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
)

// Migrations are the files of one directory in the order of their names, each run once, in one
// transaction with the increment of PRAGMA user_version. Libraries were considered: goose and
// golang-migrate both need database/sql, a table of their own, and down migrations that a
// sealed store cannot do, all for what one loop does.
//
//go:embed migrations/*.sql
var migrations embed.FS

// applicationID marks the database file as ours (PRAGMA application_id): "rkst".
const applicationID = 0x726b7374

// schemas returns the migrations in order.
func schemas() ([]string, error) {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return nil, fmt.Errorf("listing migrations: %w", err)
	}
	slices.Sort(names)
	texts := make([]string, len(names))
	for i, name := range names {
		text, err := migrations.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("reading migration %s: %w", name, err)
		}
		texts[i] = string(text)
	}
	return texts, nil
}

// schemaVersion says how many migrations have run on the database: 0 when it is new.
func schemaVersion(c *conn) (int, error) {
	version, err := c.integer("PRAGMA user_version")
	return int(version), err
}

// migrate brings the schema up to date. first runs in the transaction of the very first
// migration, so that a store always has what first writes. It returns ErrNewer when a newer
// build has migrated the database.
func migrate(c *conn, first func() error) error {
	texts, err := schemas()
	if err != nil {
		return err
	}
	version, err := schemaVersion(c)
	if err != nil {
		return err
	}
	if version > len(texts) {
		return engine.ErrNewer
	}
	for ; version < len(texts); version++ {
		if err := applyMigration(c, version, texts[version], first); err != nil {
			return fmt.Errorf("applying migration %d: %w", version+1, err)
		}
	}
	return nil
}

func applyMigration(c *conn, version int, text string, first func() error) error {
	return c.transact(func() error {
		if err := c.script(text); err != nil {
			return err
		}
		if version == 0 {
			if err := c.script(fmt.Sprintf("PRAGMA application_id = %d", applicationID)); err != nil {
				return err
			}
			if err := first(); err != nil {
				return err
			}
		}
		return c.script(fmt.Sprintf("PRAGMA user_version = %d", version+1))
	})
}
