package sqlite

import (
	"database/sql/driver"
	"fmt"
)

// movedID marks a database that was moved to a server (PRAGMA application_id): "rkmv". Builds that do
// not know it take the file for another program's.
const movedID = 0x726b6d76

// Source is a database that is read whole, to be moved elsewhere. No other process can open it
// meanwhile.
type Source struct {
	files Files
	*opened
}

// OpenSource opens the database in a directory, brings its schema up to date, and holds the directory's
// lock until Close. Errors are those of Open.
func OpenSource(f Files) (*Source, error) {
	f.MustExist = true
	o, err := f.open()
	if err != nil {
		return nil, err
	}
	return &Source{f, o}, nil
}

// Rows calls each for every row of a query.
func (s *Source) Rows(text string, each func([]driver.Value) error, args ...driver.Value) error {
	return s.conn.rows(text, each, args...)
}

// Birth is DB.Birth.
func (s *Source) Birth() int64 { return birth(s.files.path()) }

// Retire makes the database one that was moved, durably: opening it is refused from then on.
func (s *Source) Retire() error {
	if err := s.conn.transact(func() error { return s.conn.script(fmt.Sprintf("PRAGMA application_id = %d", movedID)) }); err != nil {
		return fmt.Errorf("marking the database as moved: %w", err)
	}
	return nil
}

// Close unlocks the directory.
func (s *Source) Close() error { return s.close() }
