// Package exit holds the codes with which kubectl-relay exits, and the errors that lead
// to them. It must not know which command failed.
package exit

import "errors"

// Exit codes.
const (
	OK       = 0
	Failed   = 1
	Usage    = 2 // unknown command, flag or value
	NotSeen  = 3 // chat: fewer messages came than --expect says
	Refused  = 4 // Kubernetes or Vault refuses this to you
	NotTried = 5 // audit --strict: something could not be tried
)

// Errors that have an exit code of their own.
var (
	ErrUsage    = errors.New("see --help")
	ErrNotSeen  = errors.New("fewer messages arrived than expected")
	ErrRefused  = errors.New("refused")
	ErrNotTried = errors.New("not everything was tried")
)

// Code returns the process's exit code for what a command returned.
func Code(err error) int {
	switch {
	case err == nil:
		return OK
	case errors.Is(err, ErrUsage):
		return Usage
	case errors.Is(err, ErrNotSeen):
		return NotSeen
	case errors.Is(err, ErrNotTried):
		return NotTried
	case errors.Is(err, ErrRefused):
		return Refused
	default:
		return Failed
	}
}
