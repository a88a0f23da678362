package outcome_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/outcome"
)

var pods = schema.GroupResource{Resource: "pods"}

func terminating() error {
	err := apierrors.NewForbidden(pods, "a", errors.New("namespace is going"))
	err.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	return err
}

func TestOutcome_DecidesWhatHappensNext(t *testing.T) {
	plain := errors.New("connection refused")
	cases := map[string]struct {
		err             error
		reason          string
		stalled, moving bool
		after           time.Duration
		backOff         bool
	}{
		"nothing":               {err: nil},
		"somebody must act":     {err: outcome.Stalled("NameTaken", "x"), reason: "NameTaken", stalled: true, after: outcome.Recheck},
		"something must change": {err: outcome.Waiting(time.Second, "Erasing", "x"), reason: "Erasing", moving: true, after: time.Second},
		"wrapped":               {err: fmt.Errorf("placing: %w", outcome.Stalled("NameTaken", "x")), reason: "NameTaken", stalled: true, after: outcome.Recheck},
		"a failure":             {err: plain, reason: v1alpha1.ReasonRetrying, moving: true, backOff: true},
		"another writer":        {err: apierrors.NewConflict(pods, "a", plain), reason: v1alpha1.ReasonRetrying, moving: true, after: time.Second},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			v := outcome.Of(c.err)
			if v.Reason != c.reason || v.Stalled != c.stalled || v.Moving != c.moving {
				t.Errorf("the verdict is %+v", v)
			}
			result, err := outcome.Result(c.err)
			if result.RequeueAfter != c.after || (err != nil) != c.backOff {
				t.Errorf("the result is %v, %v", result.RequeueAfter, err)
			}
		})
	}
}

func TestRefusalsOfTheAPIServerAreOutcomesAndFailuresAreNot(t *testing.T) {
	cases := map[string]struct {
		err    error
		reason string
	}{
		"forbidden":             {apierrors.NewForbidden(pods, "a", errors.New("exceeded quota")), v1alpha1.ReasonRefused},
		"invalid":               {apierrors.NewInvalid(schema.GroupKind{Kind: "Pod"}, "a", nil), v1alpha1.ReasonRefused},
		"terminating namespace": {terminating(), v1alpha1.ReasonNamespaceTerminating},
		"unavailable":           {apierrors.NewServiceUnavailable("later"), v1alpha1.ReasonRetrying},
	}
	for name, c := range cases {
		if got := outcome.Of(outcome.FromAPI("applying Pod a", c.err)).Reason; got != c.reason {
			t.Errorf("%s: the reason is %s, want %s", name, got, c.reason)
		}
	}
	if outcome.FromAPI("applying", nil) != nil {
		t.Error("no error became one")
	}
}

func TestRefusalByOneOfOurOwnPoliciesIsTriedAgainSoon(t *testing.T) {
	others := apierrors.NewForbidden(pods, "a", errors.New("ValidatingAdmissionPolicy 'company-images' denied the request"))
	own := apierrors.NewForbidden(pods, "a", errors.New("ValidatingAdmissionPolicy 'relaykeep-workloads' denied the request"))
	if v := outcome.Of(outcome.FromAPI("applying Pod a", others)); !v.Stalled {
		t.Errorf("another's refusal is %+v", v)
	}
	err := outcome.FromAPI("applying Pod a", own)
	if v := outcome.Of(err); !v.Moving || v.Reason != v1alpha1.ReasonRefused {
		t.Errorf("our own refusal is %+v", v)
	}
	if result, err := outcome.Result(err); err != nil || result.RequeueAfter == 0 || result.RequeueAfter >= outcome.Recheck {
		t.Errorf("it is tried again after %v, %v", result.RequeueAfter, err)
	}
}

func TestMessagesAreShortAndOfOneLine(t *testing.T) {
	got := outcome.Clip("a\nb\x00c" + strings.Repeat("é", 1000))
	if !strings.HasPrefix(got, "a b c") || len(got) > 600 || !strings.HasSuffix(got, "…") {
		t.Errorf("the message is %q (%d bytes)", got, len(got))
	}
	if strings.ContainsRune(got, '\uFFFD') {
		t.Error("a character was cut in half")
	}
}

func TestVerdict_FitsIntoAnEvent(t *testing.T) {
	v := outcome.Of(outcome.Stalled("NoMatchingNode", "label one %s", strings.Repeat("a=b,", 1000)))
	if len(v.Message) > 1024 { // what events.k8s.io takes
		t.Errorf("the message has %d bytes", len(v.Message))
	}
}
