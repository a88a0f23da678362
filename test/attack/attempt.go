package attack

import (
	"context"
	"errors"
	"fmt"
)

// Attempt is one thing that must not work.
type Attempt struct {
	Who     string // who tries, as in "acme's relay"
	Tries   string // to do what
	Stopped string // by what
	Owner   string // for whom the same command works
	attack  act
	twin    act
	refused refusal
}

// act does something in a scene. Its error is the answer of the service that was asked.
type act func(context.Context, *Scene) error

// refusal says whether an error is the refusal that stops an attempt, rather than
// some accident.
type refusal func(error) bool

// Name names the attempt, as a test is named.
func (a Attempt) Name() string { return a.Who + " " + a.Tries }

// Attack makes the attempt. It returns nil when it was refused as it should be, and
// ErrSucceeded when it was not refused.
func (a Attempt) Attack(ctx context.Context, s *Scene) error {
	err := a.attack(ctx, s)
	switch {
	case err == nil:
		return ErrSucceeded
	case !a.refused(err):
		return fmt.Errorf("it failed, but was not refused by %s: %w", a.Stopped, err)
	default:
		return nil
	}
}

// Twin is the same command by the rightful owner.
func (a Attempt) Twin(ctx context.Context, s *Scene) error {
	if err := a.twin(ctx, s); err != nil {
		return fmt.Errorf("%s is refused it as well: %w", a.Owner, err)
	}
	return nil
}

// ErrSucceeded says that an attempt was not stopped.
var ErrSucceeded = errors.New("the attempt succeeded")
