// Package engine is the interface between the sealed store and the database below it:
// transactions over raw rows, changes that share a commit, and errors. An engine knows tables
// and bytes; it must not know keys, customers, or what a row means.
package engine

import (
	"database/sql/driver"
	"errors"
)

// Errors that a caller of the store decides on and that an engine returns.
var (
	// ErrForeign means that the database belongs to another identity, or is not one of ours.
	ErrForeign = errors.New("store: belongs to another identity")
	// ErrMissing means that there is no database where there must be one.
	ErrMissing = errors.New("store: missing, though this identity had one")
	// ErrLocked means that another process has the database open.
	ErrLocked = errors.New("store: in use by another process")
	// ErrNewer means that a newer build wrote the database.
	ErrNewer = errors.New("store: written by a newer version of relaykeep")
	// ErrClosed means that the database was closed.
	ErrClosed = errors.New("store: closed")
	// ErrReadOnly means that a view tried to write.
	ErrReadOnly = errors.New("store: a view cannot write")
	// ErrDamaged means that the database is broken.
	ErrDamaged = errors.New("store: the database is damaged")
	// ErrFull means that there is no room left.
	ErrFull = errors.New("store: the volume is full")
)

// Tx is a transaction. It is valid within the function that it was given to, and for one
// goroutine.
type Tx interface {
	// Run executes a statement and says how many rows it changed. In a view it returns
	// ErrReadOnly.
	Run(text string, args ...driver.Value) (int64, error)
	// Rows calls each for every row of a query. The row is valid until each returns; byte
	// slices in it may be kept. Queries of the same text must not be nested. The arguments
	// are copied before the first call of each, which may use their slice again.
	Rows(text string, each func(row []driver.Value) error, args ...driver.Value) error
	// Fresh marks the change as new work: it leaves some room to work that was accepted
	// before.
	Fresh()
	// Usage says how large the volume is, and how much of it all rows take, what this
	// transaction wrote included; both in bytes. The volume is 0 when it is not known.
	Usage() (volume, held int64)
}

// Change is one caller's share of a commit. Both functions run in the engine's one
// writing goroutine.
type Change struct {
	// Do makes the change. Its error, or its panic, undoes what it wrote and nothing else.
	Do func(Tx) error
	// Kept is called once what Do wrote is part of the group that will commit.
	Kept func()
	// Frees says that the change frees room: it is not refused because there is none.
	Frees bool
}

// Group is told about each group of changes that shares a commit, in the engine's writing
// goroutine.
type Group interface {
	// Commit writes what belongs to the group as a whole, right before it commits.
	Commit(Tx) error
	// Ended is told that the group is durable, or why none of it is.
	Ended(error)
}
