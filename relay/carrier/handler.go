package carrier

import (
	"context"
	"errors"
	"fmt"
)

// Handler takes what a carrier receives.
type Handler interface {
	// Receive takes events in the order of arrival; it is not called again before it
	// returns. Nil means that all of them are stored durably, and only then are they
	// acknowledged to the carrier. An error ends the link, and what was not taken comes
	// again on the next one: all of the events, or those behind the ones that a
	// *PartialError counts.
	Receive(ctx context.Context, events []Event) error
}

// PartialError says that a Handler took some of its events before it failed.
type PartialError struct {
	Taken int // how many of the events, from the first on, need not come again
	Err   error
}

// Error implements error.
func (e *PartialError) Error() string {
	return fmt.Sprintf("after %d events: %v", e.Taken, e.Err)
}

// Unwrap returns why the next event was not taken.
func (e *PartialError) Unwrap() error { return e.Err }

// Taken returns how many of n events a Handler took that returned err.
func Taken(n int, err error) int {
	var partial *PartialError
	switch {
	case err == nil:
		return n
	case errors.As(err, &partial):
		return min(max(partial.Taken, 0), n)
	}
	return 0
}

// OneByOne is a Handler that takes each event by itself.
type OneByOne func(ctx context.Context, ev Event) error

// Receive implements Handler.
func (take OneByOne) Receive(ctx context.Context, events []Event) error {
	for i, ev := range events {
		if err := take(ctx, ev); err != nil {
			return &PartialError{i, err}
		}
	}
	return nil
}
