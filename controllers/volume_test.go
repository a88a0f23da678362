package controllers_test

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

func TestConfiguration_NamesTheVolumeFromTheFirstPod(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	claim, file, set := &corev1.PersistentVolumeClaim{}, &corev1.ConfigMap{}, &appsv1.StatefulSet{}
	if !w.get("acme-relay", claim) || !w.get("acme-relay", file) || !w.get("acme-relay", set) {
		t.Fatal("a child is missing")
	}
	if !strings.Contains(file.Data["relay.json"], `"volume": "`+string(claim.UID)+`"`) {
		t.Errorf("the configuration does not name the volume:\n%s", file.Data["relay.json"])
	}
	hash := set.Spec.Template.Annotations[v1alpha1.AnnotationConfigHash]
	w.pass(relay)
	if !w.get("acme-relay", set) || set.Spec.Template.Annotations[v1alpha1.AnnotationConfigHash] != hash {
		t.Error("the second pass restarts the relay")
	}
}

// storage says what the storage made of a relay's claim.
func (w *world) storage(edit func(*corev1.PersistentVolumeClaimStatus)) {
	w.t.Helper()
	claim := &corev1.PersistentVolumeClaim{}
	if !w.get("acme-relay", claim) {
		w.t.Fatal("there is no claim")
	}
	claim.Status.Phase = corev1.ClaimBound
	edit(&claim.Status)
	if err := server.Client.Status().Update(w.t.Context(), claim); err != nil {
		w.t.Fatal(err)
	}
}

func sized(size string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}
}

// expandable lets the claims of the world's class grow.
func (w *world) expandable() {
	w.t.Helper()
	class := &storagev1.StorageClass{}
	if err := server.Client.Get(w.t.Context(), client.ObjectKey{Name: w.name}, class); err != nil {
		w.t.Fatal(err)
	}
	class.AllowVolumeExpansion = new(true)
	if err := server.Client.Update(w.t.Context(), class); err != nil {
		w.t.Fatal(err)
	}
}

func TestClaim_GrowsIfTheClassAllowsItAndStallsOtherwise(t *testing.T) {
	onServer(t)
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	w.storage(func(s *corev1.PersistentVolumeClaimStatus) { s.Capacity = sized("1Gi") })
	w.update(relay, func(r *v1alpha1.BusinessRelay) {
		r.Spec.Storage.Size = resource.MustParse("2Gi")
		r.Spec.Retention.Days = 7
	})
	before := w.children(relay)["StatefulSet"].GetGeneration()
	if again := w.pass(relay); again.RequeueAfter <= 0 || again.RequeueAfter > 5*time.Minute {
		t.Errorf("the operator tries again after %s", again.RequeueAfter)
	}
	w.want(relay, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonVolumeNotExpandable)
	w.want(relay, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonVolumeNotExpandable)
	if w.children(relay)["StatefulSet"].GetGeneration() == before {
		t.Error("a volume that cannot grow keeps the relay from what else was asked for")
	}

	w.expandable()
	w.pass(relay)
	w.absent(relay, v1alpha1.ConditionStalled)
	claim := &corev1.PersistentVolumeClaim{}
	w.get("acme-relay", claim)
	if got := claim.Spec.Resources.Requests[corev1.ResourceStorage]; got.String() != "2Gi" {
		t.Errorf("the claim asks for %s, want 2Gi", got.String())
	}
}

// TestClaim_ThatDoesNotGrowSaysSo: the class allows it, and the storage has the last word.
func TestClaim_ThatDoesNotGrowSaysSo(t *testing.T) {
	onServer(t)
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	w.startPod(relay)
	w.status.set(w.healthy())
	w.eventually(relay, "ready", isReason(v1alpha1.ReasonReady))
	w.expandable()
	w.storage(func(s *corev1.PersistentVolumeClaimStatus) { s.Capacity = sized("1Gi") })
	w.update(relay, func(r *v1alpha1.BusinessRelay) { r.Spec.Storage.Size = resource.MustParse("2Gi") })
	w.pass(relay)
	w.pass(relay)
	is := func(kind corev1.PersistentVolumeClaimConditionType, message string) {
		w.storage(func(s *corev1.PersistentVolumeClaimStatus) {
			s.Conditions = []corev1.PersistentVolumeClaimCondition{{Type: kind, Status: corev1.ConditionTrue, Message: message}}
		})
	}
	grows := func(says string) {
		t.Helper()
		w.pass(relay)
		w.want(relay, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
		c := w.want(relay, v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonVolumeResizing)
		if !strings.Contains(c.Message, says) {
			t.Errorf("the message is %q, want %q in it", c.Message, says)
		}
		w.quiet(relay)
	}
	grows("from 1Gi to storage.size, 2Gi")
	is(corev1.PersistentVolumeClaimControllerResizeError, "the pool is out of space")
	grows("2Gi: the pool is out of space")
	is(corev1.PersistentVolumeClaimFileSystemResizePending, "")
	grows("kubectl delete pod acme-relay-0 -n " + w.name)

	is(corev1.PersistentVolumeClaimControllerResizeError, "4Gi at most")
	w.storage(func(s *corev1.PersistentVolumeClaimStatus) {
		s.AllocatedResources = sized("2Gi")
		s.AllocatedResourceStatuses = map[corev1.ResourceName]corev1.ClaimResourceStatus{corev1.ResourceStorage: corev1.PersistentVolumeClaimControllerResizeInfeasible}
	})
	w.pass(relay)
	c := w.want(relay, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonVolumeNotExpandable)
	if !strings.Contains(c.Message, "4Gi at most") {
		t.Errorf("the message is %q", c.Message)
	}
	w.storage(func(s *corev1.PersistentVolumeClaimStatus) {
		s.Capacity, s.Conditions, s.AllocatedResourceStatuses = sized("2Gi"), nil, nil
	})
	w.pass(relay)
	w.want(relay, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	w.absent(relay, v1alpha1.ConditionReconciling)
	w.absent(relay, v1alpha1.ConditionStalled)
}

// TestClaim_OfASnapshotTakesTheLostOnesPlace, as docs/operations.md says: a suspended relay gets no empty volume meanwhile, and
// is told of the other volume, by which it knows that its store was restored.
func TestClaim_OfASnapshotTakesTheLostOnesPlace(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	w.update(relay, func(r *v1alpha1.BusinessRelay) { r.Spec.Suspend = true })
	w.pass(relay)
	lost := w.children(relay)["PersistentVolumeClaim"].(*corev1.PersistentVolumeClaim)
	labels := lost.Labels
	if err := server.Client.Delete(t.Context(), lost); err != nil {
		t.Fatal(err)
	}
	w.releaseClaim()
	w.pass(relay)
	if w.children(relay)["PersistentVolumeClaim"] != nil {
		t.Fatal("a suspended relay gets an empty volume in place of one that is to be restored")
	}
	w.want(relay, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSuspended)
	w.quiet(relay)

	restored := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: lost.Name},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: lost.Spec.AccessModes, StorageClassName: lost.Spec.StorageClassName, Resources: lost.Spec.Resources,
			DataSource: &corev1.TypedLocalObjectReference{APIGroup: new("snapshot.storage.k8s.io"), Kind: "VolumeSnapshot", Name: "monday"},
		},
	}
	w.create(restored)
	w.pass(relay)
	c := w.want(relay, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonVolumeElsewhere)
	for _, want := range []string{"make it again", v1alpha1.LabelManagedBy + "=relaykeep", v1alpha1.LabelInstance + "=acme", v1alpha1.LabelRegion + "=" + w.name} {
		if !strings.Contains(c.Message, want) || strings.Contains(c.Message, "delete") {
			t.Errorf("of a claim without labels it says %q", c.Message)
		}
	}
	restored.Labels = labels
	w.change(restored)
	w.update(relay, func(r *v1alpha1.BusinessRelay) { r.Spec.Suspend = false })
	w.pass(relay)
	w.want(relay, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonRelayStarting)
	children := w.children(relay)
	if file := children["ConfigMap"].(*corev1.ConfigMap).Data["relay.json"]; !strings.Contains(file, string(restored.UID)) {
		t.Errorf("the configuration does not name the restored volume:\n%s", file)
	}
	claim := children["PersistentVolumeClaim"].(*corev1.PersistentVolumeClaim)
	if claim.UID != restored.UID || claim.Spec.DataSource == nil || claim.Spec.DataSource.Name != "monday" {
		t.Errorf("the claim is %+v", claim.Spec)
	}
}
