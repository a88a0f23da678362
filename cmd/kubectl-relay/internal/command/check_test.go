package command

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// aNode is a node of region eu that takes relays, until it is changed.
func aNode(name string, change func(*corev1.Node)) *corev1.Node {
	n := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{v1alpha1.LabelNodeRegion: "eu", "disk": "ssd"}},
		Status:     corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}},
	}
	change(n)
	return n
}

// ward is a region with relays, nodes and a storage class, all well.
func ward(t *testing.T) (region *v1alpha1.DataRegion, relays []*v1alpha1.BusinessRelay) {
	t.Helper()
	_, region = acme()
	region.Spec.StorageClassName = "relaykeep-eu"
	region.Spec.Countries = []v1alpha1.CountryCode{"DE", "FR"}
	region.Spec.Placement = v1alpha1.Placement{
		NodeSelector: map[string]string{"disk": "ssd"},
		Tolerations:  []corev1.Toleration{{Key: "dedicated", Operator: corev1.TolerationOpExists}},
	}
	region.Status.Conditions = []metav1.Condition{
		condition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady, "the region has nodes and its storage class"),
		condition(v1alpha1.ConditionKeeperHealthy, metav1.ConditionTrue, v1alpha1.ReasonOnTime, "the keeper ran"),
	}
	region.Status.Keeper.LastSuccessTime = new(metav1.NewTime(now().Add(-12 * 60e9)))
	for _, name := range []string{"acme", "initech"} {
		r, _ := acme()
		r.Namespace, r.Name = "shops", name
		r.Status.Conditions = []metav1.Condition{
			condition(v1alpha1.ConditionKeysReady, metav1.ConditionTrue, "Ready", ""), condition(v1alpha1.ConditionCarrierConnected, metav1.ConditionTrue, "Connected", ""),
		}
		relays = append(relays, r)
	}
	return region, relays
}

// says changes what a relay says by a condition.
func says(r *v1alpha1.BusinessRelay, kind, reason string) {
	for i := range r.Status.Conditions {
		if c := &r.Status.Conditions[i]; c.Type == kind {
			c.Status, c.Reason = metav1.ConditionFalse, reason
		}
	}
}

func TestCheck_Region(t *testing.T) {
	well := func(*corev1.Node) {}
	grows := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "relaykeep-eu"}, AllowVolumeExpansion: new(true)}
	tainted := func(key string) func(*corev1.Node) {
		return func(n *corev1.Node) {
			n.Spec.Taints = []corev1.Taint{{Key: key, Value: "x", Effect: corev1.TaintEffectNoSchedule}}
		}
	}
	for name, tt := range map[string]struct {
		change  func(*v1alpha1.DataRegion, []*v1alpha1.BusinessRelay)
		objects []client.Object
		err     string
	}{
		"well.txt": {
			func(*v1alpha1.DataRegion, []*v1alpha1.BusinessRelay) {},
			[]client.Object{grows, aNode("eu-1", well), aNode("eu-2", tainted("dedicated"))},
			"",
		},
		"worn.txt": { // some nodes are away, and some relays
			func(_ *v1alpha1.DataRegion, relays []*v1alpha1.BusinessRelay) {
				says(relays[1], v1alpha1.ConditionCarrierConnected, "CredentialsRefused")
			},
			[]client.Object{
				grows, aNode("eu-1", well), aNode("eu-2", func(n *corev1.Node) { n.Spec.Unschedulable = true }),
				aNode("eu-3", tainted("gpu")), aNode("eu-4", func(n *corev1.Node) { n.Labels["disk"] = "hdd" }),
			},
			"",
		},
		"down.txt": {
			func(region *v1alpha1.DataRegion, relays []*v1alpha1.BusinessRelay) {
				region.Status.Conditions[0] = condition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonStorageClassMissing, "there is no StorageClass")
				for _, r := range relays {
					says(r, v1alpha1.ConditionKeysReady, "VaultSealed")
					says(r, v1alpha1.ConditionCarrierConnected, "CarrierUnreachable")
				}
			},
			[]client.Object{
				aNode("eu-1", func(n *corev1.Node) { n.Status.Conditions[0].Status = corev1.ConditionUnknown }),
				aNode("eu-2", tainted("node.kubernetes.io/disk-pressure")),
			},
			"6 problems found with 1 region",
		},
		"new.txt": {
			func(region *v1alpha1.DataRegion, relays []*v1alpha1.BusinessRelay) {
				region.Status = v1alpha1.DataRegionStatus{}
				for _, r := range relays {
					r.Status = v1alpha1.BusinessRelayStatus{}
				}
			},
			[]client.Object{grows},
			"2 problems found with 1 region",
		},
	} {
		t.Run(name, func(t *testing.T) {
			region, relays := ward(t)
			tt.change(region, relays)
			objects := slices.Concat(tt.objects, []client.Object{region, relays[0], relays[1]})
			reports, err := examiner{inMemory(t, objects...), now(), nil}.checked(t.Context(), "", []asked{{checkRegion, "eu"}})
			check(t, err)
			var out bytes.Buffer
			err = printChecked(genericiooptions.IOStreams{Out: &out}, reports)
			if (err == nil) != (tt.err == "") || err != nil && err.Error() != tt.err {
				t.Errorf("the error is %v, want %q", err, tt.err)
			}
			golden(t, "check/"+name, out.String())
		})
	}
}

func TestCheck_RelayWithItsPods(t *testing.T) {
	relays, _ := patients(t)
	relays[1].Spec.Replicas = 2
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shops", Name: "initech-relay-0"}, Spec: corev1.PodSpec{NodeName: "eu-1"},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{RestartCount: 3}}},
	}
	reports, err := examiner{inMemory(t, &relays[1], pod), now(), nil}.checked(t.Context(), "shops", []asked{{checkRelay, "initech"}})
	check(t, err)
	var out bytes.Buffer
	if err := printChecked(genericiooptions.IOStreams{Out: &out}, reports); err == nil || err.Error() != "3 problems found with 1 relay" {
		t.Errorf("the error is %v", err)
	}
	golden(t, "check/relay.txt", out.String())
}

// TestCheck_AndDoctorFindTheSame: what check finds wrong with a region, doctor finds, and in the same words.
func TestCheck_AndDoctorFindTheSame(t *testing.T) {
	region, relays := ward(t)
	for _, r := range relays {
		says(r, v1alpha1.ConditionKeysReady, "VaultSealed")
	}
	k := inMemory(t, region, relays[0], relays[1])
	var doctor bytes.Buffer
	if err := examine(t.Context(), &doctor, examiner{k, now(), nil}, "", ""); err == nil {
		t.Error("doctor found nothing")
	}
	r := examiner{k, now(), nil}.region(t.Context(), region)
	if len(r.findings) != 3 { // Vault, nodes, storage class
		t.Errorf("check found %+v", r.findings)
	}
	for _, f := range r.findings {
		if !strings.Contains(doctor.String(), f.what+"\n    "+f.remedy) {
			t.Errorf("doctor does not say %q:\n%s", f.what, doctor.String())
		}
	}
}

func TestCheck_TakesTheFormsOfKubectlGet(t *testing.T) {
	for line, want := range map[string][]asked{
		"region/eu":                         {{checkRegion, "eu"}},
		"dataregions.relaykeep.dev/eu":      {{checkRegion, "eu"}},
		"region eu na":                      {{checkRegion, "eu"}, {checkRegion, "na"}},
		"brelay/acme DataRegion/eu":         {{checkRelay, "acme"}, {checkRegion, "eu"}},
		"businessrelays.relaykeep.dev acme": {{checkRelay, "acme"}},
		"relays":                            {{checkRelay, ""}},
		"regions":                           {{checkRegion, ""}},
	} {
		if got, err := parseChecked(strings.Fields(line)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q is %v, %v", line, got, err)
		}
	}
	for _, line := range []string{"", "pod/x", "region/", "region/eu/x", "region eu/x", "region/eu na"} {
		if got, err := parseChecked(strings.Fields(line)); err == nil {
			t.Errorf("%q is %v", line, got)
		}
	}
}
