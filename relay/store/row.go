package store

import (
	"database/sql/driver"
	"math"
	"time"

	"github.com/relaykeep/relaykeep/relay/seal"
)

// row is one row as the driver returns it. We did not write a column of another type than
// ours: seal.ErrTampered.
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

// The columns of a sealed row that are in the clear are authenticated with what is sealed, and
// SQLite accepts a value of any type in any column. So a column of another type needs no error
// of its own: it is converted as far as possible, and then only this row cannot be opened.

// numbers reads columns from the first on into the given places; a column that is not a number
// is read as 0.
func (r row) numbers(places ...*int64) {
	for i, p := range places {
		switch v := r[i].(type) {
		case int64:
			*p = v
		case float64:
			*p = int64(math.Ceil(v)) // so that a place in a queue is behind it and not before it
		default:
			*p = 0
		}
	}
}

// octets reads a column as bytes; nil when it holds none.
func (r row) octets(i int) []byte {
	switch v := r[i].(type) {
	case []byte:
		return v
	case string:
		return []byte(v)
	}
	return nil
}

// words reads a column as text; empty when it holds none.
func (r row) words(i int) string {
	switch v := r[i].(type) {
	case string:
		return v
	case []byte:
		return string(v)
	}
	return ""
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
