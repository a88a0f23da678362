package postgres

import (
	"context"
	"errors"
	"time"
)

// Migrations is how many there are.
func Migrations() (int, error) {
	all, err := texts()
	return len(all), err
}

// MakeEarlier makes the database of a build that had only so many migrations.
func MakeEarlier(ctx context.Context, f Config, migrations int) error {
	c, err := dial(ctx, f, idleWriter)
	if err != nil {
		return err
	}
	defer c.close()
	all, err := texts()
	if err != nil {
		return err
	}
	return errors.Join(f.begin(c), f.migrate(c, all[:migrations]))
}

// Hold holds a database's lease, without a look at its tables, until the returned function is called.
func Hold(ctx context.Context, f Config) (leave func(), err error) {
	c, err := dial(ctx, f, idleWriter)
	if err != nil {
		return nil, err
	}
	l, err := takeLease(ctx, c, leaseTime)
	return (&writer{conn: c, lease: l}).leave, err
}

// WithSilence makes a writer that was silent for so long one that others may take over from.
func (f Config) WithSilence(d time.Duration) Config {
	f.silence = d
	return f
}

// Quiet makes a writer and its readers believe that they were not used for long.
func Quiet(d *DB) {
	_ = d.changes.Alone(context.Background(), func() error {
		d.writer.conn.used = time.Time{}
		return nil
	})
	d.readers.mu.Lock()
	defer d.readers.mu.Unlock()
	for _, c := range d.readers.idle {
		c.used = time.Time{}
	}
}

// Revive gives a writer whose session was ended another one, as if only its lease had been taken.
func Revive(ctx context.Context, d *DB) {
	_ = d.changes.Alone(ctx, func() error {
		c, err := dial(ctx, d.config, idleWriter)
		if err == nil {
			d.writer.conn = c
		}
		return err
	})
}
