package placement_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/outcome"
	"github.com/relaykeep/relaykeep/controllers/internal/placement"
)

func region() *v1alpha1.DataRegion {
	return &v1alpha1.DataRegion{
		ObjectMeta: metav1.ObjectMeta{Name: "eu"},
		Spec: v1alpha1.DataRegionSpec{
			StorageClassName: "eu-class",
			Placement:        v1alpha1.Placement{NodeSelector: map[string]string{"disk": "ssd"}},
		},
	}
}

func node(region, disk string) map[string]string {
	return map[string]string{v1alpha1.LabelNodeRegion: region, "disk": disk, corev1.LabelHostname: region + "-" + disk}
}

func claim(region, class string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "acme-relay", Labels: map[string]string{v1alpha1.LabelRegion: region}},
		Spec:       corev1.PersistentVolumeClaimSpec{StorageClassName: &class},
	}
}

func TestPlacement_OnlyWhereAllIsOfTheRegion(t *testing.T) {
	going := region()
	going.DeletionTimestamp = new(metav1.Now())
	nodes := []map[string]string{node("na", "ssd"), node("eu", "hdd"), node("eu", "ssd")}
	cases := map[string]struct {
		facts  placement.Facts
		reason string // empty means placed
	}{
		"all there":              {placement.Facts{Region: region(), ClassExists: true, Nodes: nodes, Usable: nodes}, ""},
		"its claim there":        {placement.Facts{Region: region(), ClassExists: true, Nodes: nodes, Usable: nodes, Claim: claim("eu", "eu-class")}, ""},
		"no class":               {placement.Facts{Region: region(), Nodes: nodes, Usable: nodes}, v1alpha1.ReasonStorageClassMissing},
		"no node at all":         {placement.Facts{Region: region(), ClassExists: true}, v1alpha1.ReasonNoMatchingNode},
		"nodes of others only":   {placement.Facts{Region: region(), ClassExists: true, Nodes: nodes[:1], Usable: nodes[:1]}, v1alpha1.ReasonNoMatchingNode},
		"nodes not admitted":     {placement.Facts{Region: region(), ClassExists: true, Nodes: nodes[:2], Usable: nodes[:2]}, v1alpha1.ReasonNoMatchingNode},
		"no node is usable":      {placement.Facts{Region: region(), ClassExists: true, Nodes: nodes, Usable: nodes[:2]}, v1alpha1.ReasonNoMatchingNode},
		"no node, relay was":     {placement.Facts{Region: region(), ClassExists: true, Nodes: nodes, Usable: nodes[:2], Started: true}, ""},
		"region goes":            {placement.Facts{Region: going, ClassExists: true, Nodes: nodes, Usable: nodes}, v1alpha1.ReasonRegionNotReady},
		"region goes, relay was": {placement.Facts{Region: going, ClassExists: true, Nodes: nodes, Usable: nodes, Claim: claim("eu", "eu-class")}, ""},
		"claim of another":       {placement.Facts{Region: region(), ClassExists: true, Nodes: nodes, Usable: nodes, Claim: claim("na", "eu-class")}, v1alpha1.ReasonVolumeElsewhere},
		"claim of another class": {placement.Facts{Region: region(), ClassExists: true, Nodes: nodes, Usable: nodes, Claim: claim("eu", "na-class")}, v1alpha1.ReasonVolumeElsewhere},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			v := outcome.Of(placement.Relay(c.facts))
			mendsItself := c.reason == v1alpha1.ReasonNoMatchingNode || c.reason == v1alpha1.ReasonStorageClassMissing
			if v.Reason != c.reason || v.Missing != mendsItself || v.Stalled != (c.reason != "" && !mendsItself) {
				t.Errorf("the verdict is %+v, want %q", v, c.reason)
			}
		})
	}
}

func TestPlacement_MessageSaysHowToLabelANode(t *testing.T) {
	v := outcome.Of(placement.Region(placement.Facts{Region: region(), ClassExists: true}))
	for _, want := range []string{v1alpha1.LabelNodeRegion + "=eu", "disk=ssd"} {
		if !strings.Contains(v.Message, want) {
			t.Errorf("%q does not mention %s", v.Message, want)
		}
	}
}

func TestVolume_IsVerifiedOnlyIfItCannotBeElsewhere(t *testing.T) {
	nodes := []map[string]string{node("eu", "ssd"), node("na", "ssd")}
	in := func(key string, values ...string) corev1.NodeSelectorTerm {
		return corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{
			{Key: "arch", Operator: corev1.NodeSelectorOpExists}, {Key: key, Operator: corev1.NodeSelectorOpIn, Values: values},
		}}
	}
	cases := map[string]struct {
		terms []corev1.NodeSelectorTerm
		want  v1alpha1.VolumeEvidence
	}{
		"a node of the region":   {[]corev1.NodeSelectorTerm{in(corev1.LabelHostname, "eu-ssd")}, v1alpha1.VolumeVerified},
		"the region itself":      {[]corev1.NodeSelectorTerm{in(v1alpha1.LabelNodeRegion, "eu")}, v1alpha1.VolumeVerified},
		"a node of another":      {[]corev1.NodeSelectorTerm{in(corev1.LabelHostname, "na-ssd")}, v1alpha1.VolumeDeclared},
		"one of each":            {[]corev1.NodeSelectorTerm{in(corev1.LabelHostname, "eu-ssd", "na-ssd")}, v1alpha1.VolumeDeclared},
		"either term":            {[]corev1.NodeSelectorTerm{in(corev1.LabelHostname, "eu-ssd"), in("zone", "b")}, v1alpha1.VolumeDeclared},
		"two regions":            {[]corev1.NodeSelectorTerm{in(v1alpha1.LabelNodeRegion, "eu", "na")}, v1alpha1.VolumeDeclared},
		"a node that is unknown": {[]corev1.NodeSelectorTerm{in(corev1.LabelHostname, "who")}, v1alpha1.VolumeDeclared},
		"a zone":                 {[]corev1.NodeSelectorTerm{in("zone", "a")}, v1alpha1.VolumeDeclared},
		"nothing":                {nil, v1alpha1.VolumeDeclared},
	}
	for name, c := range cases {
		volume := &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{NodeAffinity: &corev1.VolumeNodeAffinity{
			Required: &corev1.NodeSelector{NodeSelectorTerms: c.terms},
		}}}
		if got := placement.Evidence("eu", nodes, volume); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	if got := placement.Evidence("eu", nodes, &corev1.PersistentVolume{}); got != v1alpha1.VolumeDeclared {
		t.Errorf("a volume without affinity is %s", got)
	}
}
