// Package metering decides what is said about how much a business uses: which kinds of messages are told apart, and
// how counts are rounded before anybody sees them. It must not know where counts are kept, or of whom they are.
//
// A count is published in steps, and only once a step is full: what is left waits for more. A step says that so many
// came since the one before, and not when each of them did. The first step of each count begins at a random place, so
// that nobody who knows all other messages can tell at which one a step will be full. What is published is therefore a
// multiple of the step for any span of time, is never more than there was but for what the random beginning added,
// and adds up over days and months without an error that grows.
package metering

import (
	"crypto/rand"
	"encoding/binary"
	"time"
)

// How counts are rounded, and when they are published.
const (
	// Step is what published counts of messages and customers are multiples of, and so the least that is ever shown.
	Step = 10
	// ByteStep is the same of bytes of files; they are published once Step files are behind them.
	ByteStep = 1_000_000
	// Period is for how long what is published stays the same.
	Period = time.Hour
	// KeptDays is for how many days sums of a day are kept: 13 months.
	KeptDays = 396
)

// Direction says which way a message went.
type Direction string

// The directions.
const (
	In  Direction = "in"  // from a customer
	Out Direction = "out" // from the business, and the carrier has it
)

// Directions lists all directions.
func Directions() []Direction { return []Direction{In, Out} }

// Kind is a kind of message, or what else is counted. Its values are fit for a metric's label.
type Kind string

// The kinds.
const (
	Text        Kind = "text" // with places, answers and templates, which go as text
	Edit        Kind = "edit"
	Image       Kind = "image"
	Audio       Kind = "audio"
	Video       Kind = "video"
	Document    Kind = "document"
	Sticker     Kind = "sticker"
	Reaction    Kind = "reaction"
	Unsupported Kind = "unsupported" // could not be read; the business was told
	Other       Kind = "other"

	// Media counts files that messages brought, and their bytes.
	Media Kind = "media"
	// Customers counts, for each day, the customers with whom there were messages. It has no direction.
	Customers Kind = "customers"
)

// Messages lists the kinds that are messages.
func Messages() []Kind {
	return []Kind{Text, Edit, Image, Audio, Video, Document, Sticker, Reaction, Unsupported, Other}
}

// KindOf is the kind of a message of a stored type.
func KindOf(stored string) Kind {
	for _, k := range Messages() {
		if string(k) == stored {
			return k
		}
	}
	return Other
}

// Cell is one count.
type Cell struct {
	Direction Direction // empty for Customers
	Kind      Kind
}

// Amount is what a cell has counted.
type Amount struct {
	Count int64
	Bytes int64 // of Media
}

// Plus is the sum of both.
func (a Amount) Plus(b Amount) Amount { return Amount{a.Count + b.Count, a.Bytes + b.Bytes} }

// Publish returns what can be said of a cell in which rest was left and more was counted since, and what is left then.
func (c Cell) Publish(rest, more Amount) (published, left Amount) {
	left = rest.Plus(more)
	if c.Kind != Media {
		published.Count = left.Count - left.Count%Step
	} else if left.Count >= Step {
		published.Bytes = left.Bytes - left.Bytes%ByteStep
		return published, Amount{Bytes: left.Bytes - published.Bytes} // how many files there were is said by their kinds
	}
	left.Count -= published.Count
	return published, left
}

// Begin returns with what a cell begins: a random part of a step. Files have none, because each step of theirs needs
// so many of them.
func (c Cell) Begin() Amount {
	if c.Kind == Media {
		return Amount{}
	}
	var b [8]byte
	_, _ = rand.Read(b[:])
	return Amount{Count: int64(binary.BigEndian.Uint64(b[:]) % Step)}
}

// Hour is the Period that a time is in, counted from 1970.
func Hour(at time.Time) int64 { return at.Unix() / int64(Period/time.Second) }

// HoursOfDay is how many of them a day has.
const HoursOfDay = int64(24 * time.Hour / Period)

// Day is the day (UTC) that a time is in, counted from 1970.
func Day(at time.Time) int64 { return Hour(at) / HoursOfDay }

// DayStart is when a day begins.
func DayStart(day int64) time.Time { return time.Unix(day*24*60*60, 0).UTC() }
