package cloudapi

import (
	"context"
	"crypto/sha256"
	"errors"
)

// onceHeader holds a request's idempotency key (draft-ietf-httpapi-idempotency-key-header). The hosted API does
// not have it.
const onceHeader = "Idempotency-Key"

// Errors of requests with an idempotency key.
var (
	// ErrNotAnswered means that no such request was done.
	ErrNotAnswered = errors.New("the request was not done")
	// ErrOtherBody means that a request with its key was done, and asked for something else.
	ErrOtherBody = errors.New("the request's key was used for another body")
)

// Once identifies a request with an idempotency key: within 24 hours it is done once.
type Once struct {
	Key  string
	Body [sha256.Size]byte // a hash of everything that the request asks for
}

// Requests remembers requests that were done once.
type Requests interface {
	// Answered returns what a request was answered with, or ErrNotAnswered or ErrOtherBody.
	Answered(ctx context.Context, o Once) (answer string, err error)
	// Answer remembers the answer to a request. If one was done meanwhile, it returns that one's answer, or
	// ErrOtherBody.
	Answer(ctx context.Context, o Once, answer string) (first string, err error)
}
