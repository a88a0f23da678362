package vault

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/relaykeep/relaykeep/relay/seal"
)

// Errors that a caller decides on. Errors of this package wrap one of them, or the
// context's.
var (
	// ErrSealed means that Vault is sealed, or a standby node without a leader. Retry; a Vault
	// operator has to act.
	ErrSealed = errors.New("vault is sealed")
	// ErrUnavailable means that Vault could not be reached, was too slow, or failed
	// internally: retry.
	ErrUnavailable = errors.New("vault is unavailable")
	// ErrDenied means that Vault refused the login, or a call right after a login. Retry
	// slowly; somebody has to act.
	ErrDenied = errors.New("vault refused")
	// ErrErased means that the key that this needs was destroyed for good.
	ErrErased = seal.ErrErased
	// ErrNotFound means that there is nothing at that path.
	ErrNotFound = errors.New("not found in vault")
	// ErrForeignContent means that a path or an answer holds something that this package
	// neither writes nor expects there. It is never overwritten.
	ErrForeignContent = errors.New("vault holds or answers something unexpected")
)

// callError is a failed call: the operation, what the failure means and, only if Vault was not
// reached, the cause. It does not contain Vault's own words.
type callError struct {
	op     string
	kind   error
	status int   // 0 when there was no answer
	cause  error // of the network or context; nil otherwise
	answer []string
}

func (e *callError) Error() string {
	switch {
	case e.status != 0:
		return fmt.Sprintf("%s: %v (HTTP %d)", operations[e.op], e.kind, e.status)
	case e.cause != nil:
		return fmt.Sprintf("%s: %v: %v", operations[e.op], e.kind, e.cause)
	default:
		return fmt.Sprintf("%s: %v", operations[e.op], e.kind)
	}
}

func (e *callError) Unwrap() []error {
	if e.cause != nil {
		return []error{e.kind, e.cause}
	}
	return []error{e.kind}
}

// says reports whether Vault's answer contained one of the given phrases. Only here does the
// answer's text count: some failures differ in nothing else.
func (e *callError) says(phrases ...string) bool {
	return slices.ContainsFunc(e.answer, func(line string) bool {
		return slices.ContainsFunc(phrases, func(phrase string) bool { return strings.Contains(line, phrase) })
	})
}

// classify says what an error of the API client means.
func classify(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*callError](err); ok {
		return e
	}
	if response, ok := errors.AsType[*api.ResponseError](err); ok {
		kind := kindOf(response.StatusCode)
		if op == opLogin && response.StatusCode == http.StatusBadRequest {
			kind = ErrDenied // there is no such role: the region's Vault was not set up for it
		}
		return &callError{op: op, kind: kind, status: response.StatusCode, answer: response.Errors}
	}
	if errors.Is(err, errTooLarge) {
		return &callError{op: op, kind: ErrForeignContent, cause: errTooLarge}
	}
	if parent := ctx.Err(); parent != nil {
		return &callError{op: op, kind: ErrUnavailable, cause: parent}
	}
	// A network error names at most the address; url.Error would add the path.
	if network, ok := errors.AsType[*url.Error](err); ok {
		return &callError{op: op, kind: ErrUnavailable, cause: network.Err}
	}
	if network, ok := errors.AsType[net.Error](err); ok {
		return &callError{op: op, kind: ErrUnavailable, cause: network}
	}
	return &callError{op: op, kind: ErrForeignContent} // the answer was not JSON, or not the expected JSON
}

// kindOf says what a status means if the operation does not know better.
func kindOf(status int) error {
	switch {
	case status == http.StatusServiceUnavailable:
		return ErrSealed
	case status == http.StatusForbidden || status == http.StatusUnauthorized:
		return ErrDenied
	case status == http.StatusNotFound:
		return ErrNotFound
	case status == http.StatusTooManyRequests || status == http.StatusPreconditionFailed || status >= 500:
		return ErrUnavailable
	default:
		return ErrForeignContent
	}
}

// foreign is an ErrForeignContent that says what is wrong, but never what was there.
func foreign(op, problem string) error {
	return &callError{op: op, kind: ErrForeignContent, cause: errors.New(problem)}
}

// outcome is an error's word for metrics.
func outcome(err error) string {
	for _, o := range []struct {
		is   error
		word string
	}{
		{nil, "ok"},
		{context.Canceled, "canceled"},
		{ErrSealed, "sealed"},
		{ErrDenied, "denied"},
		{ErrErased, "erased"},
		{ErrNotFound, "notfound"},
		{ErrForeignContent, "foreign"},
	} {
		if errors.Is(err, o.is) {
			return o.word
		}
	}
	return "unavailable"
}
