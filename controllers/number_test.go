package controllers_test

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// otherNumber is a second telephone number that no other test has.
func (w *world) otherNumber() string { return "+2" + w.number()[2:] }

// elder makes a relay that is older than any that is made after it, by the API
// server's clock, which counts in seconds.
func (w *world) elder(relay *v1alpha1.BusinessRelay) {
	w.t.Helper()
	w.create(relay)
	if !w.within(func() bool { return time.Since(relay.CreationTimestamp.Time) > time.Second }) {
		w.t.Fatal("the clock stands still")
	}
}

func TestNumber_InUseIsNotTakenByAnOlderRelay(t *testing.T) {
	w := newWorld(t)
	squatter, business := w.relay("squatter"), w.relay("acme")
	squatter.Spec.PhoneNumber = w.otherNumber()
	w.elder(squatter)
	w.pass(squatter)
	w.create(business)
	w.pass(business)
	w.startPod(business)
	w.status.set(w.healthy())
	w.eventually(business, "ready", isReason(v1alpha1.ReasonReady))

	w.update(squatter, func(r *v1alpha1.BusinessRelay) { r.Spec.PhoneNumber = w.number() })
	w.pass(squatter)
	w.want(squatter, v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonNumberInUse)
	w.pass(business)
	w.want(business, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
}

func TestNumber_RelayWithoutItCannotReportInitialized(t *testing.T) {
	w := newWorld(t)
	business, impostor := w.relay("acme"), w.relay("impostor")
	w.elder(business)
	w.pass(business)
	impostor.Spec.PhoneNumber = w.otherNumber()
	w.create(impostor)
	w.pass(impostor)
	w.startPod(impostor)
	w.update(impostor, func(r *v1alpha1.BusinessRelay) { r.Spec.PhoneNumber = w.number() })
	w.status.set(w.healthy())
	w.eventually(impostor, "reporting", func(r *v1alpha1.BusinessRelay) bool { return r.Status.Quality != "" })
	w.want(impostor, v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonNumberInUse)
	if w.reread(impostor).Status.InitializedTime != nil {
		t.Error("a relay that has no number counts as initialized")
	}
	w.pass(business)
	w.absent(business, v1alpha1.ConditionStalled)
}

func TestNumber_RelayThatLosesItStops(t *testing.T) {
	onServer(t)
	w := newWorld(t)
	business, other := w.relay("acme"), w.relay("other")
	w.elder(business)
	w.pass(business)
	other.Spec.PhoneNumber = w.otherNumber()
	w.create(other)
	w.pass(other)
	w.wantReplicas(other, 1)
	w.update(other, func(r *v1alpha1.BusinessRelay) { r.Spec.PhoneNumber = w.number() })
	w.pass(other)
	w.want(other, v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonNumberInUse)
	w.wantReplicas(other, 0)
	w.wantReplicas(business, 1)
	w.quiet(other)
	w.update(other, func(r *v1alpha1.BusinessRelay) { r.Spec.PhoneNumber = w.otherNumber() })
	w.pass(other)
	w.wantReplicas(other, 1)
}

func TestSuspendStopsARelayThatHasNoPlaceAnyMore(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	w.wantReplicas(relay, 1)
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
	if err := server.Client.Delete(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	w.update(relay, func(r *v1alpha1.BusinessRelay) { r.Spec.Suspend = true })
	w.pass(relay)
	w.want(relay, v1alpha1.ConditionPlaced, metav1.ConditionFalse, v1alpha1.ReasonNoMatchingNode)
	w.wantReplicas(relay, 0)
}

// wantReplicas checks how many pods a relay is to have.
func (w *world) wantReplicas(relay *v1alpha1.BusinessRelay, want int32) {
	w.t.Helper()
	set := &appsv1.StatefulSet{}
	if !w.get(v1alpha1.TenantName(relay.Name), set) {
		w.t.Fatal("there is no StatefulSet")
	}
	if *set.Spec.Replicas != want {
		w.t.Errorf("%s is to have %d pods, want %d", relay.Name, *set.Spec.Replicas, want)
	}
}
