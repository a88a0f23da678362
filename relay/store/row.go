package store

import (
	"database/sql/driver"
	"time"

	"github.com/relaykeep/relaykeep/relay/seal"
)

// row is one row as the driver returns it. A column of another type than it was
// written with was not written by us: seal.ErrTampered.
type row []driver.Value

func (r row) integer(i int) (int64, error) {
	v, ok := r[i].(int64)
	if !ok {
		return 0, seal.ErrTampered
	}
	return v, nil
}

func (r row) bytes(i int) ([]byte, error) {
	v, ok := r[i].([]byte)
	if !ok {
		return nil, seal.ErrTampered
	}
	return v, nil
}

func (r row) text(i int) (string, error) {
	v, ok := r[i].(string)
	if !ok {
		return "", seal.ErrTampered
	}
	return v, nil
}

// integers reads columns from the first on into the given places.
func (r row) integers(places ...*int64) error {
	for i, p := range places {
		v, err := r.integer(i)
		if err != nil {
			return err
		}
		*p = v
	}
	return nil
}

// Times are stored in milliseconds; the zero time as 0.

func toMillis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
