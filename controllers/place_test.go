package controllers_test

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// TestPlaced_IsFalseForARelayOnANodeOfNoRegion: somebody took the node's label away while the relay runs there, and the region
// has others.
func TestPlaced_IsFalseForARelayOnANodeOfNoRegion(t *testing.T) {
	w := newWorld(t)
	w.create(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: w.name + "-b", Labels: map[string]string{v1alpha1.LabelNodeRegion: w.name}}})
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	pod := w.startPod(relay)
	w.status.set(w.healthy())
	w.eventually(relay, "ready", isReason(v1alpha1.ReasonReady))
	children := w.children(relay)
	label := func(region string) {
		node := &corev1.Node{}
		if err := server.Client.Get(t.Context(), client.ObjectKey{Name: w.name}, node); err != nil {
			t.Fatal(err)
		}
		node.Labels[v1alpha1.LabelNodeRegion] = region
		if err := server.Client.Update(t.Context(), node); err != nil {
			t.Fatal(err)
		}
	}
	label("another")
	w.told()
	w.pass(relay)
	c := w.want(relay, v1alpha1.ConditionPlaced, metav1.ConditionFalse, v1alpha1.ReasonNodeElsewhere)
	if !strings.Contains(c.Message, pod.Name) || !strings.Contains(c.Message, "node "+w.name) {
		t.Errorf("the message is %q", c.Message)
	}
	w.want(relay, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonNodeElsewhere)
	w.wantTold("Warning NodeElsewhere")
	for kind, o := range w.children(relay) {
		if o.GetResourceVersion() != children[kind].GetResourceVersion() {
			t.Errorf("the %s was changed", kind)
		}
	}
	if !w.get(pod.Name, &corev1.Pod{}) {
		t.Error("the pod was moved")
	}
	w.quiet(relay)
	label(w.name)
	w.pass(relay)
	w.want(relay, v1alpha1.ConditionPlaced, metav1.ConditionTrue, v1alpha1.ReasonPlaced)
	w.want(relay, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
}

// TestRotation_InForceIsWhatTheRelayRunsWith, and not what the spec asks for.
func TestRotation_InForceIsWhatTheRelayRunsWith(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	w.startPod(relay)
	running := func() {
		answer := w.healthy()
		answer.ConfigHash = w.children(relay)["StatefulSet"].(*appsv1.StatefulSet).Spec.Template.Annotations[v1alpha1.AnnotationConfigHash]
		w.status.set(answer)
	}
	inForce := func(identity, access int32) func(*v1alpha1.BusinessRelay) bool {
		return func(r *v1alpha1.BusinessRelay) bool {
			return r.Status.Rotation == v1alpha1.RotationStatus{Identity: identity, Access: access}
		}
	}
	running()
	w.eventually(relay, "in force", inForce(1, 1))
	w.update(relay, func(r *v1alpha1.BusinessRelay) { r.Spec.Rotation.Access = 3 })
	w.pass(relay)
	if got := w.reread(relay); !inForce(1, 1)(got) {
		t.Errorf("before the relay has restarted, %+v is in force", got.Status.Rotation)
	}
	running()
	w.eventually(relay, "in force", inForce(1, 3))
}
