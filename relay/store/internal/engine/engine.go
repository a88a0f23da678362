// Package engine is the interface between the sealed store and the database below it:
// transactions over raw rows, changes that share a commit, and errors. An engine knows tables
// and bytes; it must not know keys, customers, or what a row means.
//
// The comments of Database, Tx, Change and Group are contracts: enginetest tests each engine
// against them.
package engine

import (
	"context"
	"database/sql/driver"
	"errors"
)

// Errors that a caller of the store decides on and that an engine returns.
var (
	// ErrForeign means that the database belongs to another identity, or is not one of ours.
	ErrForeign = errors.New("store: belongs to another identity")
	// ErrMoved means that the database was moved to a server and must not be used here again.
	ErrMoved = errors.New("store: moved to a database server; use it there")
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

// Database is an open database with one writer: this process. Its methods are safe for
// concurrent use.
//
// A database is opened for an owner, a random identifier. Opening creates it where there is
// none, unless there must be one (ErrMissing); it refuses one of another owner or of another
// program (ErrForeign), one that a newer build has migrated (ErrNewer) and one that another
// process has open (ErrLocked), and changes nothing then. It brings the schema of an older build
// up to date.
type Database interface {
	// Begin gives a change its place among the changes of all callers: they run one after
	// another in the order in which Begin returned, each sees what those before it wrote, and
	// those that wait at the same time share a commit. wait returns nil once the change is
	// durable. Otherwise nothing of it ever will be, and wait returns the error of Do as it is,
	// or why the group failed; ErrUncertain alone says that it is not known. wait passes on a
	// panic of Do. It must be called once. When ctx ends before Do has begun, Do is not run;
	// after that wait waits for the outcome.
	Begin(ctx context.Context, c Change) (wait func() error)
	// Shrink is Begin and wait for a change that deletes at most about Batch bytes. It also
	// works when no other room is left. Do may run a second time.
	Shrink(ctx context.Context, c Change) error
	// View runs fn on a snapshot: of what was durable at one moment, not before View was called
	// and not after its first query. Views run beside each other and beside changes, and write
	// nothing. View returns fn's error as it is and passes on its panic. ctx counts until fn
	// begins.
	View(ctx context.Context, fn func(Tx) error) error
	// Scrub removes what was deleted from where the engine can reach earlier states of rows.
	Scrub(ctx context.Context) error
	// Batch is how many bytes one change should delete at most.
	Batch() int64
	// Full says whether there may be no room for anything new.
	Full() bool
	// Freed is how many bytes in the database are free for new rows, in addition to what the
	// volume has left; 0 also when that is not known.
	Freed() int64
	// Room measures how much room there is now. It costs one short view.
	Room(ctx context.Context) (Room, error)
	// Birth is a number that differs after the database was copied or an earlier state of it
	// was put in place, and stays the same otherwise, as far as the engine can tell; 0 when it
	// cannot tell.
	Birth() int64
	// Trouble says why nothing can be written at present; nil when the last attempt did not find
	// anything. It costs nothing, and with ErrFenced and ErrRolledBack it stays.
	Trouble() error
	// Close lets the running group end, fails the changes that wait with ErrClosed, and lets
	// others open the database. After it every method that takes a context fails with
	// ErrClosed. It must be called once.
	Close() error
}

// Room is how much room there is, in bytes.
type Room struct {
	Limit int64 // of what the database is in; 0 when it is not known or has none
	Used  int64 // by the database, without what is free for new rows
	Free  int64 // for new rows; 0 without a Limit
}

// Tx is a transaction. It is valid within the function that it was given to, and for one
// goroutine. In a statement, parameters are written ? or ?1, ?2 and so on. Values are int64,
// string, []byte and nil, columns INTEGER, TEXT and BLOB. Nobody may change the bytes of an argument of Run or Write
// before the transaction has ended; and what a statement does depends on its arguments and the rows alone, not on the
// time or on chance: an engine may run it again.
//
// After a statement has failed, Do must return an error: an engine may refuse all that follows
// in the change.
type Tx interface {
	// Run executes a statement and says how many rows it changed. In a view it returns
	// ErrReadOnly.
	Run(text string, args ...driver.Value) (int64, error)
	// Write is Run for a statement of which nobody needs to know how many rows it changed. An
	// engine may execute it later, but before any other statement of the transaction: that
	// then fails, or the change.
	Write(text string, args ...driver.Value) error
	// Rows calls each for every row of a query until it returns an error, which Rows returns
	// (errors.Is). It costs about as much as the rows that each has seen. The row is valid until
	// each returns; byte slices in it may be kept. Within each other queries may run, but none
	// of the same text. The arguments are copied before the first call of each, which may use
	// their slice again.
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
	// Do makes the change. Its error, or its panic, undoes what it wrote and nothing else. It
	// must be quick, and must not wait for another change.
	Do func(Tx) error
	// Kept is called once what Do wrote is part of the group that will commit.
	Kept func()
	// Frees says that the change frees room: it is not refused because there is none.
	Frees bool
	// Late says that the change may wait some milliseconds for others, to share a commit with
	// them. Its place among the changes stays.
	Late bool
}

// Group is told about each group of changes that shares a commit, in the engine's writing
// goroutine.
type Group interface {
	// Commit writes what belongs to the group as a whole, right before it commits.
	Commit(Tx) error
	// Ended is told that the group is durable, or why none of it is; once for each group,
	// before its callers are.
	Ended(error)
}
