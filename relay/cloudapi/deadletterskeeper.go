package cloudapi

import (
	"context"
	"errors"
	"time"
)

// ErrUnknownLetter means that there is no such dead letter.
var ErrUnknownLetter = errors.New("there is no such dead letter")

// DeadLetters gives access to the webhooks that were given up.
type DeadLetters interface {
	// DeadLetters returns at most limit dead letters, those that died first behind a place on. The zero place is
	// before all.
	DeadLetters(ctx context.Context, after DeadLetterPlace, limit int) ([]DeadLetter, error)
	// Replay queues dead letters once more, or returns ErrUnknownLetter and queues none. ReplayAll queues all
	// and says how many there were.
	Replay(ctx context.Context, ids []int64) error
	ReplayAll(ctx context.Context) (int, error)
}

// DeadLetter is a webhook that was given up. It names no customer.
type DeadLetter struct {
	Place     DeadLetterPlace
	MessageID string // of the message that it is about; may be empty
	Status    string // that it tells of the business's message; empty for any other webhook
	Created   time.Time
	Attempts  int
	Failure   string // why it was given up; empty for one that an earlier release gave up
}

// DeadLetterPlace is a dead letter's place among the others: when it died, to the millisecond, and its id.
type DeadLetterPlace struct {
	Died time.Time
	ID   int64
}
