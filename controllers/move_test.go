package controllers_test

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// other makes a second region with a node and a storage class.
func (w *world) other() string {
	w.t.Helper()
	name := w.name + "-na"
	region := w.region()
	region.Name, region.Spec.StorageClassName = name, v1alpha1.ObjectName(name)
	region.Spec.Vault.Address = "https://10.9.9.9:8200"
	w.create(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{v1alpha1.LabelNodeRegion: name, corev1.LabelHostname: name}}})
	w.create(&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: "example.org/none"})
	w.create(region)
	return name
}

// wantMove checks what the relay's pod does and where.
func (w *world) wantMove(what, move, claim, region string, replicas int32) {
	w.t.Helper()
	set, file, volume := &appsv1.StatefulSet{}, &corev1.ConfigMap{}, &corev1.PersistentVolumeClaim{}
	if !w.get("acme-relay", set) || !w.get("acme-relay", file) || !w.get(claim, volume) {
		w.t.Fatalf("%s: a child is missing", what)
	}
	if got := *set.Spec.Replicas; got != replicas {
		w.t.Errorf("%s: %d replicas, want %d", what, got, replicas)
	}
	if text := file.Data["relay.json"]; strings.Contains(text, `"move"`) != (move != "") || move != "" && !strings.Contains(text, `"move": "`+move+`"`) {
		w.t.Errorf("%s: the configuration does not say %q", what, move)
	}
	mounted, pod := "", set.Spec.Template
	for _, v := range pod.Spec.Volumes {
		if v.PersistentVolumeClaim != nil {
			mounted += v.PersistentVolumeClaim.ClaimName
		}
	}
	if mounted != claim || pod.Labels[v1alpha1.LabelRegion] != region || pod.Spec.NodeSelector[v1alpha1.LabelNodeRegion] != region ||
		volume.Labels[v1alpha1.LabelRegion] != region || *volume.Spec.StorageClassName != region {
		w.t.Errorf("%s: it mounts %s in region %s, want %s in %s", what, mounted, pod.Labels[v1alpha1.LabelRegion], claim, region)
	}
}

func TestMove_HasTheRelayHandOverItsStoreAndRunInTheNewRegion(t *testing.T) {
	w := newWorld(t)
	na := w.other()
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	w.wantMove("before", "", "acme-relay", w.name, 1)
	moving := &v1alpha1.Moving{From: v1alpha1.ObjectName(w.name), To: v1alpha1.ObjectName(na), CarrierDomain: "eu.example.org"}
	step := func(what, move, claim, region string, replicas int32, edit func(*v1alpha1.BusinessRelaySpec)) {
		t.Helper()
		w.update(relay, func(r *v1alpha1.BusinessRelay) { edit(&r.Spec) })
		w.pass(relay)
		w.wantMove(what, move, claim, region, replicas)
	}
	leave := func(s *v1alpha1.BusinessRelaySpec) { s.Suspend, s.Moving = true, moving.DeepCopy() }
	step("leaving", "Depart", "acme-relay", w.name, 1, leave)
	if c := w.want(relay, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonMoving); !strings.Contains(c.Message, "kubectl relay move acme -n "+w.name+" --to-region "+na) {
		t.Errorf("Ready does not say how to go on: %s", c.Message)
	}
	step("given up", "", "acme-relay", w.name, 1, func(s *v1alpha1.BusinessRelaySpec) { s.Suspend, s.Moving = false, nil })
	step("leaving again", "Depart", "acme-relay", w.name, 1, leave)
	step("arriving", "Arrive", "acme-relay-1", na, 1, func(s *v1alpha1.BusinessRelaySpec) { s.DataRegion, s.Moves = moving.To, 1 })
	w.want(relay, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonMoving)
	if !w.get("acme-relay", &corev1.PersistentVolumeClaim{}) {
		t.Error("the old region's claim is gone before the store has arrived")
	}
	step("returning", "Depart", "acme-relay", w.name, 1, func(s *v1alpha1.BusinessRelaySpec) { s.DataRegion, s.Moves = moving.From, 0 })
	step("arriving again", "Arrive", "acme-relay-1", na, 1, func(s *v1alpha1.BusinessRelaySpec) { s.DataRegion, s.Moves = moving.To, 1 })
	step("started", "", "acme-relay-1", na, 1, func(s *v1alpha1.BusinessRelaySpec) { s.Suspend, s.Moving.Settled = false, true })
	step("done", "", "acme-relay-1", na, 1, func(s *v1alpha1.BusinessRelaySpec) { s.Moving = nil })
	step("stopped", "", "acme-relay-1", na, 0, func(s *v1alpha1.BusinessRelaySpec) { s.Suspend = true })
	janitor := &batchv1.CronJob{}
	if !w.get("acme-retention", janitor) || janitor.Spec.JobTemplate.Spec.Template.Labels[v1alpha1.LabelRegion] != na {
		t.Error("the janitor is not the new region's")
	}
}

// A region that loses its nodes says so, and moves nothing.
func TestMove_IsNothingThatARegionWithoutNodesDoes(t *testing.T) {
	w := newWorld(t)
	w.other()
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: w.name}}
	if err := server.Client.Delete(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	before := w.reread(relay).Spec
	w.pass(relay)
	w.want(relay, v1alpha1.ConditionPlaced, metav1.ConditionFalse, v1alpha1.ReasonNoMatchingNode)
	w.wantMove("afterwards", "", "acme-relay", w.name, 1)
	if after := w.reread(relay).Spec; after.DataRegion != before.DataRegion || after.Moves != 0 || after.Moving != nil {
		t.Errorf("the relay is in region %s", after.DataRegion)
	}
}

func TestMove_ErasureAfterwardsRemovesTheClaimThatTheRelayHas(t *testing.T) {
	onServer(t)
	w := newWorld(t)
	relay := w.relay("acme")
	relay.Spec.Moves, relay.Spec.DeletionPolicy = 3, v1alpha1.DeletionErase
	w.create(relay)
	w.pass(relay)
	if !w.get("acme-relay-3", &corev1.PersistentVolumeClaim{}) {
		t.Fatal("the claim does not have the number of its moves")
	}
	w.delete(relay)
	w.end(w.untilJob(relay), batchv1.JobComplete, w.now)
	for range 5 {
		w.pass(relay)
	}
	claim := &corev1.PersistentVolumeClaim{}
	if w.get("acme-relay-3", claim) && claim.DeletionTimestamp == nil {
		t.Error("the claim is left")
	}
}
