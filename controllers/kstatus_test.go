package controllers_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// waitsFor is what Helm, Flux and others that wait by kstatus make of an object.
func (w *world) waitsFor(o client.Object) status.Status {
	w.t.Helper()
	if err := server.Client.Get(w.t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
		w.t.Fatal(err)
	}
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		w.t.Fatal(err)
	}
	result, err := status.Compute(&unstructured.Unstructured{Object: fields})
	if err != nil {
		w.t.Fatal(err)
	}
	return result.Status
}

// TestKstatus_NewObjectsAreNotDone, though nobody has looked at them yet.
func TestKstatus_NewObjectsAreNotDone(t *testing.T) {
	onServer(t)
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	for _, o := range []client.Object{relay, w.region()} {
		if got := w.waitsFor(o); got != status.InProgressStatus {
			t.Errorf("a new %T is %s", o, got)
		}
	}
	w.regionPass()
	if got := w.waitsFor(w.region()); got != status.CurrentStatus {
		t.Errorf("a region that takes relays is %s", got)
	}
}

// TestKstatus_WaitsForWhatMendsItself, and fails for what the object's owner must change.
func TestKstatus_WaitsForWhatMendsItself(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	rival := w.relay("rival")
	w.create(rival)
	lost := w.relay("lost")
	lost.Spec.DataRegion, lost.Spec.PhoneNumber = "nowhere", relay.Spec.PhoneNumber[:9]
	w.create(lost)
	mistaken := w.relay("mistaken")
	mistaken.Spec.PhoneNumber = relay.Spec.PhoneNumber[:8]
	w.create(mistaken)
	w.create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: v1alpha1.TenantName(mistaken.Name)}})
	for _, c := range []struct {
		relay  *v1alpha1.BusinessRelay
		reason string
		want   status.Status
	}{
		{relay, v1alpha1.ReasonRelayStarting, status.InProgressStatus},
		{rival, v1alpha1.ReasonNumberInUse, status.InProgressStatus},
		{lost, v1alpha1.ReasonRegionNotFound, status.InProgressStatus},
		{mistaken, v1alpha1.ReasonNameTaken, status.FailedStatus},
	} {
		w.pass(c.relay)
		w.want(c.relay, v1alpha1.ConditionReady, metav1.ConditionFalse, c.reason)
		if got := w.waitsFor(c.relay); got != c.want {
			t.Errorf("a relay that is %s is %s, want %s", c.reason, got, c.want)
		}
	}
	if err := server.Client.Delete(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: w.name}}); err != nil {
		t.Fatal(err)
	}
	w.pass(relay)
	w.want(relay, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonNoMatchingNode)
	if got := w.waitsFor(relay); got != status.InProgressStatus {
		t.Errorf("a relay whose region has no node is %s", got)
	}
}

// TestKstatus_SuspendedRelayIsDone once it is stopped: nothing more will happen.
func TestKstatus_SuspendedRelayIsDone(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	pod := w.startPod(relay)
	w.status.set(w.healthy())
	w.eventually(relay, "ready", isReason(v1alpha1.ReasonReady))
	if got := w.waitsFor(relay); got != status.CurrentStatus {
		t.Errorf("a relay that is well is %s", got)
	}
	w.update(relay, func(r *v1alpha1.BusinessRelay) { r.Spec.Suspend = true })
	if got := w.waitsFor(relay); got != status.InProgressStatus {
		t.Errorf("a relay that the operator has not stopped yet is %s", got)
	}
	w.pass(relay)
	w.want(relay, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonProgressing)
	if got := w.waitsFor(relay); got != status.InProgressStatus {
		t.Errorf("a suspended relay whose pod still runs is %s", got)
	}
	if err := server.Client.Delete(t.Context(), pod, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	w.pass(relay)
	w.want(relay, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSuspended)
	if got := w.waitsFor(relay); got != status.CurrentStatus {
		t.Errorf("a suspended relay is %s", got)
	}
	w.update(relay, func(r *v1alpha1.BusinessRelay) { r.Spec.Suspend = false })
	w.pass(relay)
	if got := w.waitsFor(relay); got != status.InProgressStatus {
		t.Errorf("a relay that was just resumed is %s", got)
	}
}
