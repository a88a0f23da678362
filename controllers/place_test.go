package controllers_test

import (
	"slices"
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

// TestRegion_SaysItsCountriesToItsRelays, which are those that it declares, or the one of a region of type Local.
func TestRegion_SaysItsCountriesToItsRelays(t *testing.T) {
	for name, c := range map[string]struct {
		spec v1alpha1.DataRegionSpec
		want []v1alpha1.CountryCode
	}{
		"declared":     {v1alpha1.DataRegionSpec{Type: v1alpha1.RegionEU, Countries: []v1alpha1.CountryCode{"FR", "DE"}}, []v1alpha1.CountryCode{"FR", "DE"}},
		"one country":  {v1alpha1.DataRegionSpec{Type: v1alpha1.RegionLocal, Country: "CH"}, []v1alpha1.CountryCode{"CH"}},
		"not declared": {v1alpha1.DataRegionSpec{Type: v1alpha1.RegionNA}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := bareWorld(t)
			region := w.region()
			region.Spec.Type, region.Spec.Country, region.Spec.Countries = c.spec.Type, c.spec.Country, c.spec.Countries
			w.create(region)
			relay := w.relay("acme")
			w.create(relay)
			w.regionPass()
			w.pass(relay)
			if err := server.Client.Get(t.Context(), client.ObjectKeyFromObject(region), region); err != nil {
				t.Fatal(err)
			}
			if got := region.Status.Countries; !slices.Equal(got, c.want) {
				t.Errorf("the region says %v, want %v", got, c.want)
			}
			if got := w.reread(relay).Status.Region.Countries; !slices.Equal(got, c.want) {
				t.Errorf("its relay says %v, want %v", got, c.want)
			}
		})
	}
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
