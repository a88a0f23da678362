package controllers_test

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// TestPod_ThatCannotBeMadeSaysWhyInReady: nothing but an event tells of a quota, a class or a policy in the way.
func TestPod_ThatCannotBeMadeSaysWhyInReady(t *testing.T) {
	onServer(t)
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	set := w.children(relay)["StatefulSet"].(*appsv1.StatefulSet)
	set.Status.ObservedGeneration = set.Generation
	if err := server.Client.Status().Update(t.Context(), set); err != nil {
		t.Fatal(err)
	}
	fail := func(name, of, message string, at time.Time) {
		w.create(&corev1.Event{
			ObjectMeta:     metav1.ObjectMeta{Namespace: w.name, Name: name},
			InvolvedObject: corev1.ObjectReference{APIVersion: "apps/v1", Kind: "StatefulSet", Namespace: w.name, Name: of, UID: set.UID},
			Reason:         "FailedCreate", Message: message, Type: corev1.EventTypeWarning, LastTimestamp: metav1.NewTime(at),
		})
	}
	fail("a", "acme-relay", "an earlier cause", w.now.Add(-time.Minute))
	fail("b", "acme-relay", "exceeded quota: small", w.now)
	fail("c", "other-relay", "another's cause", w.now.Add(time.Minute))
	result := w.pass(relay)
	c := w.want(relay, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonRelayStarting)
	if !strings.Contains(c.Message, "exceeded quota: small") || strings.Contains(c.Message, "cause") {
		t.Errorf("the message is %q", c.Message)
	}
	if result.RequeueAfter <= 0 || result.RequeueAfter > time.Minute {
		t.Errorf("the operator looks again after %s", result.RequeueAfter)
	}
}

// TestEraseJob_ThatGetsNoPodSaysWhy: until somebody makes room for it, nothing is erased.
func TestEraseJob_ThatGetsNoPodSaysWhy(t *testing.T) {
	w := newWorld(t)
	relay := w.erasing()
	job := w.untilJob(relay)
	w.create(&corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: w.name, Name: "a"},
		InvolvedObject: corev1.ObjectReference{APIVersion: "batch/v1", Kind: "Job", Namespace: w.name, Name: job.Name, UID: job.UID},
		Reason:         "FailedCreate", Message: "exceeded quota: small", Type: corev1.EventTypeWarning, LastTimestamp: metav1.NewTime(w.now),
	})
	w.pass(relay)
	for _, kind := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionReconciling} {
		status := metav1.ConditionFalse
		if kind == v1alpha1.ConditionReconciling {
			status = metav1.ConditionTrue
		}
		if c := w.want(relay, kind, status, v1alpha1.ReasonErasing); !strings.Contains(c.Message, "exceeded quota: small") {
			t.Errorf("%s says %q", kind, c.Message)
		}
	}
}
