package base

import (
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/store"
)

// RepeatedError means that a request was done before, and with which answer. It was not done again.
type RepeatedError struct{ Answer string }

// Error implements error.
func (*RepeatedError) Error() string { return "the request was done before" }

// Once returns the change that does a request whose answer is id, unless it was done before: then it fails with a
// *RepeatedError, or store.ErrOtherBody. A nil Once means that it is done each time.
func (s *Base) Once(o *store.Once, id string, do func(*store.Tx) error) func(*store.Tx) error {
	if o == nil {
		return do
	}
	return func(tx *store.Tx) error {
		answer, err := tx.Answered(*o, s.Now())
		if err == nil {
			return &RepeatedError{answer}
		}
		if !record.IsNotFound(err) {
			return err
		}
		if err := do(tx); err != nil {
			return err
		}
		return tx.Answer(*o, id, s.Now())
	}
}
