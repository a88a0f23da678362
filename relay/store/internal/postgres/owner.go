package postgres

import (
	"context"
	"database/sql/driver"

	"github.com/relaykeep/relaykeep/relay/store/internal/engine"
)

// Owner is what is known about a database without any key.
type Owner struct {
	ID [16]byte
	// Used says that something may have been sealed in it: it has an epoch.
	Used bool
}

// OwnerOf reads whose database it is; nil without error when it is empty. It changes nothing and
// needs no term.
func OwnerOf(ctx context.Context, f Config) (*Owner, error) {
	c, err := dial(ctx, f, idleWriter)
	if err != nil {
		return nil, err
	}
	defer c.close()
	if err := checkServer(c); err != nil {
		return nil, err
	}
	s, err := look(c)
	switch {
	case err != nil:
		return nil, err
	case !s.schema:
		return nil, nil
	case !s.table, len(s.owner) != 16:
		return nil, engine.ErrForeign
	}
	o := &Owner{ID: [16]byte(s.owner)}
	o.Used, err = s.used(c)
	return o, err
}

// used says whether something may have been sealed in a database of ours.
func (s state) used(c *conn) (used bool, err error) {
	if s.version == 0 {
		return false, nil
	}
	err = c.rows(`SELECT EXISTS (SELECT FROM relaykeep.epochs)`, func(row []driver.Value) error {
		used = row[0] == int64(1)
		return nil
	})
	return used, err
}
