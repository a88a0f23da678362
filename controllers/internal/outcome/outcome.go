// Package outcome turns the error that stopped a reconciliation into what happens next: a
// person must act, something outside must change, or the operator retries with back-off.
// Only this package decides that; it must not know any kind.
package outcome

import (
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// Recheck is after what time a stalled object is reconciled again although nothing that
// is watched changed: something that is not watched, such as a quota, may have.
const Recheck = 5 * time.Minute

// ownPolicy is how the API server names one of our own admission policies. They compare
// with other objects, and the API server may not have seen the newest version that the
// operator has, so a refusal is retried after policyRecheck.
const (
	ownPolicy     = "ValidatingAdmissionPolicy 'relaykeep-"
	policyRecheck = 5 * time.Second
)

// maxMessage is how many bytes of an API server's answer reach a condition.
const maxMessage = 512

// Error is an outcome as an error. Reason and message can be shown in a condition: they
// contain no telephone number and nothing about another tenant.
type Error struct {
	// Reason is a CamelCase word, one of v1alpha1's.
	Reason string
	// Message says what to do.
	Message string
	// Stalled says that nothing progresses until somebody changes something.
	Stalled bool
	// Missing says that something is not there that others bring, without a change of the object.
	Missing bool
	// After is when to reconcile again even if nothing that is watched changes.
	After time.Duration
}

// Error returns the reason and the message.
func (e *Error) Error() string { return e.Reason + ": " + e.Message }

// Stalled says that somebody must change something.
func Stalled(reason, format string, args ...any) error {
	return &Error{Reason: reason, Message: fmt.Sprintf(format, args...), Stalled: true, After: Recheck}
}

// Missing says that something is not there that others bring, and that mends itself then: a tool that waits for the object
// goes on waiting.
func Missing(reason, format string, args ...any) error {
	return &Error{Reason: reason, Message: fmt.Sprintf(format, args...), Missing: true, After: Recheck}
}

// Waiting says that something outside must change, and when to look again.
func Waiting(after time.Duration, reason, format string, args ...any) error {
	return &Error{Reason: reason, Message: fmt.Sprintf(format, args...), After: after}
}

// FromAPI translates the API server's refusal of a write into an outcome. An error that
// is not a final refusal is returned unchanged, to be retried.
func FromAPI(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return Waiting(Recheck, v1alpha1.ReasonNamespaceTerminating,
			"the namespace is being deleted and accepts no new objects")
	case (apierrors.IsForbidden(err) || apierrors.IsInvalid(err)) && strings.Contains(err.Error(), ownPolicy):
		return Waiting(policyRecheck, v1alpha1.ReasonRefused, "the API server refused %s: %s", doing, Clip(err.Error()))
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err):
		return Stalled(v1alpha1.ReasonRefused, "the API server refused %s: %s", doing, Clip(err.Error()))
	default:
		return fmt.Errorf("%s: %w", doing, err)
	}
}

// Clip shortens a message for a condition and takes control characters out.
func Clip(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if len(s) > maxMessage {
		s = strings.ToValidUTF8(s[:maxMessage], "") + "…"
	}
	return s
}

// Verdict is what to tell about an error, in a condition.
type Verdict struct {
	Reason, Message string
	// Stalled and Moving are never both true; both are false when err was nil.
	Stalled, Moving bool
	// Missing says that something is not there that others bring.
	Missing bool
}

// Of returns the verdict for an error, for a condition or an event, whose length the API
// server limits.
func Of(err error) Verdict {
	var o *Error
	switch {
	case err == nil:
		return Verdict{}
	case errors.As(err, &o):
		return Verdict{Reason: o.Reason, Message: Clip(o.Message), Stalled: o.Stalled, Moving: !o.Stalled, Missing: o.Missing}
	default:
		return Verdict{Reason: v1alpha1.ReasonRetrying, Message: "retrying soon: " + Clip(err.Error()), Moving: true}
	}
}

// Result is what a reconciler returns for an error: an outcome is not a failure of the
// reconciler and only requeues; any other error backs off.
func Result(err error) (ctrl.Result, error) {
	var o *Error
	switch {
	case err == nil:
		return ctrl.Result{}, nil
	case errors.As(err, &o):
		return ctrl.Result{RequeueAfter: o.After}, nil
	case apierrors.IsConflict(err):
		// Another writer was faster: not a failure worth a log line.
		return ctrl.Result{RequeueAfter: time.Second}, nil
	default:
		return ctrl.Result{}, err
	}
}
