package v1alpha1_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

func TestNode_TakesPodsUnlessItIsCordonedOrNotReady(t *testing.T) {
	node := func(cordoned bool, ready corev1.ConditionStatus) *corev1.Node {
		n := &corev1.Node{Spec: corev1.NodeSpec{Unschedulable: cordoned}}
		if ready != "" {
			n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready}}
		}
		return n
	}
	for _, tt := range []struct {
		node *corev1.Node
		want v1alpha1.NodeState
	}{
		{node(false, corev1.ConditionTrue), v1alpha1.NodeUsable},
		{node(false, ""), v1alpha1.NodeUsable}, // nobody says otherwise
		{node(true, corev1.ConditionTrue), v1alpha1.NodeCordoned},
		{node(false, corev1.ConditionUnknown), v1alpha1.NodeNotReady},
		{node(true, corev1.ConditionFalse), v1alpha1.NodeNotReady},
	} {
		if got := v1alpha1.StateOf(tt.node); got != tt.want {
			t.Errorf("%+v is %s, want %s", tt.node.Status.Conditions, got, tt.want)
		}
	}
}

func TestRegion_AdmitsItsNodesThatItsPlacementSelects(t *testing.T) {
	region := &v1alpha1.DataRegion{
		ObjectMeta: metav1.ObjectMeta{Name: "eu"},
		Spec:       v1alpha1.DataRegionSpec{Placement: v1alpha1.Placement{NodeSelector: map[string]string{"disk": "ssd"}}},
	}
	for _, tt := range []struct {
		region, disk string
		want         bool
	}{{"eu", "ssd", true}, {"eu", "hdd", false}, {"na", "ssd", false}} {
		if got := region.Admits(map[string]string{v1alpha1.LabelNodeRegion: tt.region, "disk": tt.disk}); got != tt.want {
			t.Errorf("a node of %s with %s: %t", tt.region, tt.disk, got)
		}
	}
}
