package store

import (
	"bufio"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// A store on a server is taken elsewhere as rows: a first line; each table, by its name and the names of its columns, followed by
// its rows; and, at the end, the highest identifier of a job that was ever given out. A number is a uvarint, a text or bytes have
// their length before them, and each part begins with a byte that says what it is.

// rowsBegin is the first line.
const rowsBegin = "relaykeep store as rows, 1\n"

// What a part is.
const (
	partTable = 't'
	partRow   = 'r'
	partEnd   = 'e'

	valueNull    = 'n'
	valueInteger = 'i'
	valueText    = 's'
	valueBytes   = 'b'
)

// Bounds of what is read.
const (
	maxColumns = 64
	maxName    = 64       // bytes
	maxValue   = 16 << 20 // bytes, as a server's message has at most
)

// errRows means that what should be a store as rows is none.
var errRows = fmt.Errorf("%w: it is not a store as rows", ErrDamaged)

// rowWriter writes a store as rows. What fails is returned by end.
type rowWriter struct{ to *bufio.Writer }

func newRowWriter(to io.Writer) rowWriter {
	w := rowWriter{bufio.NewWriterSize(to, 64<<10)}
	_, _ = w.to.WriteString(rowsBegin)
	return w
}

func (w rowWriter) part(kind byte) { _ = w.to.WriteByte(kind) }

func (w rowWriter) number(n uint64) { _, _ = w.to.Write(binary.AppendUvarint(nil, n)) }

func (w rowWriter) text(s string) {
	w.number(uint64(len(s)))
	_, _ = w.to.WriteString(s)
}

// table begins a table.
func (w rowWriter) table(name string, columns []string) {
	w.part(partTable)
	w.text(name)
	w.number(uint64(len(columns)))
	for _, c := range columns {
		w.text(c)
	}
}

// row writes a row of the table. It returns an error once nothing more can be written.
func (w rowWriter) row(values []driver.Value) error {
	w.part(partRow)
	for _, value := range values {
		switch v := value.(type) {
		case nil:
			w.part(valueNull)
		case int64:
			w.part(valueInteger)
			_, _ = w.to.Write(binary.BigEndian.AppendUint64(nil, uint64(v)))
		case string:
			w.part(valueText)
			w.text(v)
		case []byte:
			w.part(valueBytes)
			w.number(uint64(len(v)))
			_, _ = w.to.Write(v)
		default:
			return ErrDamaged // no column has it
		}
	}
	_, err := w.to.Write(nil) // a writer's error stays
	return err
}

// end ends the store.
func (w rowWriter) end(job int64) error {
	w.part(partEnd)
	w.number(uint64(job))
	if err := w.to.Flush(); err != nil {
		return fmt.Errorf("writing the store's rows: %w", err)
	}
	return nil
}

// rowReader reads a store as rows. Errors are errRows and those of what it reads from.
type rowReader struct{ from *bufio.Reader }

func newRowReader(from io.Reader) (rowReader, error) {
	r := rowReader{bufio.NewReaderSize(from, 64<<10)}
	begin := make([]byte, len(rowsBegin))
	if err := r.fill(begin); err != nil {
		return r, err
	}
	if string(begin) != rowsBegin {
		return r, errRows
	}
	return r, nil
}

// cut is an error of reading, where the store must not end.
func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: %w", errRows, err) // which may say why
	}
	return err
}

func (r rowReader) fill(b []byte) error {
	_, err := io.ReadFull(r.from, b)
	return cut(err)
}

// number reads a number of at most that.
func (r rowReader) number(most uint64) (uint64, error) {
	n, err := binary.ReadUvarint(r.from)
	if err != nil {
		return 0, cut(err)
	}
	if n > most {
		return 0, errRows
	}
	return n, nil
}

func (r rowReader) bytes(most uint64) ([]byte, error) {
	n, err := r.number(most)
	if err != nil {
		return nil, err
	}
	// What is announced need not come: memory grows with what does.
	b, err := io.ReadAll(io.LimitReader(r.from, int64(n)))
	if err != nil {
		return nil, err
	}
	if uint64(len(b)) < n {
		return nil, errRows
	}
	return b, nil
}

// next says whether the next part is of a kind; if not, it is still to be read.
func (r rowReader) next(kind byte) (bool, error) {
	is, err := r.from.ReadByte()
	if err != nil {
		return false, cut(err)
	}
	if is != kind {
		_ = r.from.UnreadByte() // right after ReadByte it can
	}
	return is == kind, nil
}

// table reads the beginning of a table, which must be that one, and returns its columns.
func (r rowReader) table(name string) ([]string, error) {
	if is, err := r.next(partTable); err != nil || !is {
		return nil, orRows(err)
	}
	found, err := r.bytes(maxName)
	if err != nil || string(found) != name {
		return nil, orRows(err)
	}
	n, err := r.number(maxColumns)
	if err != nil {
		return nil, err
	}
	columns := make([]string, n)
	for i := range columns {
		column, err := r.bytes(maxName)
		if err != nil {
			return nil, err
		}
		if columns[i] = string(column); slices.Contains(columns[:i], columns[i]) {
			return nil, errRows
		}
	}
	return columns, nil
}

// orRows is err, or that what came is none of a store's.
func orRows(err error) error {
	if err == nil {
		return errRows
	}
	return err
}

// row reads the next row of a table with so many columns; nil after the last one.
func (r rowReader) row(columns int) ([]driver.Value, error) {
	if is, err := r.next(partRow); err != nil || !is {
		return nil, err
	}
	values := make([]driver.Value, columns)
	for i := range values {
		kind, err := r.from.ReadByte()
		if err != nil {
			return nil, cut(err)
		}
		switch kind {
		case valueNull:
		case valueInteger:
			var b [8]byte
			if err := r.fill(b[:]); err != nil {
				return nil, err
			}
			values[i] = int64(binary.BigEndian.Uint64(b[:]))
		case valueText, valueBytes:
			b, err := r.bytes(maxValue)
			if err != nil {
				return nil, err
			}
			if values[i] = b; kind == valueText {
				values[i] = string(b)
			}
		default:
			return nil, errRows
		}
	}
	return values, nil
}

// end reads the end, after which nothing may come.
func (r rowReader) end() (job int64, err error) {
	if is, err := r.next(partEnd); err != nil || !is {
		return 0, orRows(err)
	}
	n, err := r.number(1<<63 - 1)
	if err != nil {
		return 0, err
	}
	switch _, err := r.from.ReadByte(); {
	case err == nil:
		return 0, errRows
	case !errors.Is(err, io.EOF):
		return 0, err
	}
	return int64(n), nil
}
