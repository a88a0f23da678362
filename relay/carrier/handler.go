package carrier

import (
	"context"
	"errors"
	"fmt"
)

// Handler receives what arrives from a carrier.
type Handler interface {
	// Receive gets events in the order of arrival. It is not called again before it returns.
	// Nil means that all of them are stored durably; only then does the carrier report them
	// as handled. An error ends the link, and the events that were not received come again on
	// the next one: all of them, or those after the ones that a *PartialError counts.
	Receive(ctx context.Context, events []Event) error
}

// PartialError says that a Handler received some of its events before it failed.
type PartialError struct {
	Received int // how many events, counted from the first, need not come again
	Err      error
}

// Error implements error.
func (e *PartialError) Error() string {
	return fmt.Sprintf("after %d events: %v", e.Received, e.Err)
}

// Unwrap returns why the next event was not received.
func (e *PartialError) Unwrap() error { return e.Err }

// Received returns how many of n events a Handler received that returned err.
func Received(n int, err error) int {
	var partial *PartialError
	switch {
	case err == nil:
		return n
	case errors.As(err, &partial):
		return min(max(partial.Received, 0), n)
	}
	return 0
}

// OneByOne is a Handler that receives each event by itself.
type OneByOne func(ctx context.Context, ev Event) error

// Receive implements Handler.
func (receive OneByOne) Receive(ctx context.Context, events []Event) error {
	for i, ev := range events {
		if err := receive(ctx, ev); err != nil {
			return &PartialError{i, err}
		}
	}
	return nil
}
