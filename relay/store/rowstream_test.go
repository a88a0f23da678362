package store

import (
	"bytes"
	"database/sql/driver"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// asRows writes one table.
func asRows(rows ...[]driver.Value) []byte {
	var b bytes.Buffer
	w := newRowWriter(&b)
	w.table("epochs", []string{"id", "wrapped"})
	for _, r := range rows {
		_ = w.row(r)
	}
	_ = w.end(42)
	return b.Bytes()
}

// fromRows reads one table.
func fromRows(raw []byte) (columns []string, rows [][]driver.Value, job int64, err error) {
	r, err := newRowReader(bytes.NewReader(raw))
	if err != nil {
		return nil, nil, 0, err
	}
	if columns, err = r.table("epochs"); err != nil {
		return nil, nil, 0, err
	}
	for {
		row, err := r.row(len(columns))
		if err != nil {
			return nil, nil, 0, err
		}
		if row == nil {
			break
		}
		rows = append(rows, row)
	}
	job, err = r.end()
	return columns, rows, job, err
}

func TestRows_AreReadAsTheyWereWritten(t *testing.T) {
	want := [][]driver.Value{{int64(-1), "text"}, {nil, []byte{}}, {int64(1) << 62, []byte{0, 'r', 'e'}}, {"", nil}}
	columns, got, job, err := fromRows(asRows(want...))
	if err != nil || job != 42 || !cmp.Equal(columns, []string{"id", "wrapped"}) || !cmp.Equal(got, want) {
		t.Errorf("%v, %v, %d, %v", columns, got, job, err)
	}
	if _, _, _, err := fromRows(asRows([]driver.Value{1.5, nil})); err == nil {
		t.Error("a value that no column has is taken")
	}
}

func TestRows_CutAnywhereAreNone(t *testing.T) {
	raw := asRows([]driver.Value{int64(1), "one"}, []driver.Value{int64(2), []byte("two")})
	for n := range raw {
		if _, _, _, err := fromRows(raw[:n]); !errors.Is(err, ErrDamaged) {
			t.Errorf("the first %d of %d bytes: %v", n, len(raw), err)
		}
	}
}

// FuzzRows: whatever comes, nothing fails but reading, and what is read is written the same.
func FuzzRows(f *testing.F) {
	f.Add(asRows())
	f.Add(asRows([]driver.Value{int64(1), "one"}, []driver.Value{nil, []byte("two")}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		columns, rows, job, err := fromRows(raw)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("error %v", err)
			}
			return
		}
		var b bytes.Buffer
		w := newRowWriter(&b)
		w.table("epochs", columns)
		for _, r := range rows {
			if err := w.row(r); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.end(job); err != nil {
			t.Fatal(err)
		}
		if _, again, _, err := fromRows(b.Bytes()); err != nil || !cmp.Equal(again, rows) {
			t.Errorf("written and read again: %v, %v", again, err)
		}
	})
}
