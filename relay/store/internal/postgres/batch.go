package postgres

import (
	"database/sql/driver"
	"iter"
)

// batch is some rows of a query, in memory of their own: while they are handed out, the
// connection may be used for another query.
type batch struct {
	values []driver.Value
	rows   int
	bytes  int
}

// add reads a row.
func (b *batch) add(columns []uint32, row [][]byte) error {
	for i, column := range columns {
		v, err := decode(column, row[i])
		if err != nil {
			return err
		}
		b.values = append(b.values, v)
		b.bytes += len(row[i])
	}
	b.rows++
	return nil
}

// each returns the rows, which have so many columns.
func (b *batch) each(columns int) iter.Seq[[]driver.Value] {
	return func(yield func([]driver.Value) bool) {
		for i := range b.rows {
			if !yield(b.values[i*columns : (i+1)*columns : (i+1)*columns]) {
				return
			}
		}
	}
}

// next is how many rows like these the next batch should have.
func (b *batch) next() uint32 {
	if b.rows == 0 {
		return firstRows
	}
	return uint32(min(max(batchBytes/max(b.bytes/b.rows, 1), 1), mostRows))
}
