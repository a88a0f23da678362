package signal

import "errors"

// The classes of what can be wrong with input from outside. Errors of this
// package wrap at most one of them; test with [errors.Is]. None of them changes
// anything that is stored.
var (
	// ErrMalformed means that the bytes are not a message, key, bundle or record, or that they
	// are one of another protocol version.
	ErrMalformed = errors.New("signal: malformed")
	// ErrUnknownPreKey means that a message names a pre-key that is not, or no
	// longer, ours. A [PreKeySource] returns it.
	ErrUnknownPreKey = errors.New("signal: unknown pre-key")
	// ErrUnauthenticated means that a message or a bundle's signature does not
	// verify: a forgery, damage, or a peer whose session diverged from ours.
	ErrUnauthenticated = errors.New("signal: not authentic")
	// ErrReplay means that the key of this message was used already, or dropped.
	ErrReplay = errors.New("signal: message key used or given up")
	// ErrTooFarAhead means that more than MaxSkip messages would be skipped.
	ErrTooFarAhead = errors.New("signal: too far ahead of the last message")
	// ErrUntrustedIdentity is for callers that refuse an identity key. This package has no
	// policy and never returns it.
	ErrUntrustedIdentity = errors.New("signal: identity is not trusted")
	// ErrNoSession means that there is no session to use: begin one.
	ErrNoSession = errors.New("signal: no session")
)

// ErrTooLong means that a plaintext is longer than MaxPlaintext.
var ErrTooLong = errors.New("signal: plaintext too long")

// Class names the class of err in a word that is fit for a metric's label. It is
// "ok" for nil and "other" for an error of no class, such as a store's.
func Class(err error) string {
	if err == nil {
		return "ok"
	}
	classes := [...]struct {
		err  error
		name string
	}{
		{ErrMalformed, "malformed"},
		{ErrUnknownPreKey, "unknown_prekey"},
		{ErrUnauthenticated, "unauthenticated"},
		{ErrReplay, "replay"},
		{ErrTooFarAhead, "too_far_ahead"},
		{ErrUntrustedIdentity, "untrusted_identity"},
		{ErrNoSession, "no_session"},
	}
	for _, c := range classes {
		if errors.Is(err, c.err) {
			return c.name
		}
	}
	return "other"
}
