package controllers_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// kept are the children that outlive a relay with the policy Retain.
var kept = []string{"CronJob", "ConfigMap", "PersistentVolumeClaim", "ServiceAccount", "janitor's NetworkPolicy"}

// delete asks for a relay's deletion, in the foreground: that is the harder case, as
// the garbage collector then takes what has an owner at once.
func (w *world) delete(relay *v1alpha1.BusinessRelay) {
	w.t.Helper()
	if err := server.Client.Delete(w.t.Context(), relay, client.PropagationPolicy(metav1.DeletePropagationForeground)); err != nil {
		w.t.Fatal(err)
	}
}

// held says whether our finalizer still holds a relay.
func (w *world) held(relay *v1alpha1.BusinessRelay) bool {
	fresh := &v1alpha1.BusinessRelay{}
	return w.get(relay.Name, fresh) && slices.Contains(fresh.Finalizers, v1alpha1.Finalizer)
}

func TestRetainLeavesTheVolumeAndAllThatTheJanitorNeeds(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	before := w.children(relay)
	w.delete(relay)
	w.pass(relay)
	if w.held(relay) {
		t.Error("the relay is still held though nothing is left to do")
	}
	for kind, o := range w.children(relay) {
		if mayGo := len(o.GetOwnerReferences()) > 0; mayGo == slices.Contains(kept, kind) {
			t.Errorf("%s has owners %v", kind, o.GetOwnerReferences())
		}
		if slices.Contains(kept, kind) && o.GetResourceVersion() != before[kind].GetResourceVersion() {
			t.Errorf("the deletion changed the %s", kind)
		}
	}
}

func TestRelay_OfTheSameNameTakesUpWhatWasRetained(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	w.delete(relay)
	w.pass(relay)
	w.collect(relay)
	claim := w.children(relay)["PersistentVolumeClaim"].GetUID()
	again := w.relay("acme")
	w.create(again)
	w.pass(again)
	w.absent(again, v1alpha1.ConditionStalled)
	if got := w.children(again)["PersistentVolumeClaim"].GetUID(); got != claim {
		t.Error("the new relay has another volume than the one that was left")
	}
}

// collect does what the garbage collector would, which an API server alone does
// not have.
func (w *world) collect(relay *v1alpha1.BusinessRelay) {
	w.t.Helper()
	for _, o := range w.children(relay) {
		if len(o.GetOwnerReferences()) > 0 {
			if err := server.Client.Delete(w.t.Context(), o); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	fresh := &v1alpha1.BusinessRelay{}
	if w.get(relay.Name, fresh) {
		fresh.Finalizers = nil // the garbage collector's own
		if err := server.Client.Update(w.t.Context(), fresh); err != nil {
			w.t.Fatal(err)
		}
	}
}

// erasing makes a relay with the policy Erase that has run, and deletes it.
func (w *world) erasing() *v1alpha1.BusinessRelay {
	w.t.Helper()
	relay := w.relay("acme")
	relay.Spec.DeletionPolicy = v1alpha1.DeletionErase
	w.create(relay)
	w.pass(relay)
	w.delete(relay)
	return relay
}

// untilJob passes until the erase Job exists, letting go of what the cluster's own
// controllers would.
func (w *world) untilJob(relay *v1alpha1.BusinessRelay) *batchv1.Job {
	w.t.Helper()
	for range 10 {
		w.pass(relay)
		job := &batchv1.Job{}
		if w.get("acme-erase", job) {
			return job
		}
	}
	w.t.Fatalf("there is no erase Job: %+v", w.reread(relay).Status.Conditions)
	return nil
}

// succeed runs a Job's pod, from its template as edit changes it, to its good end.
func (w *world) succeed(job *batchv1.Job, edit func(*corev1.Pod)) {
	w.t.Helper()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: w.name, GenerateName: job.Name + "-", Labels: job.Spec.Template.Labels,
		OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(job, batchv1.SchemeGroupVersion.WithKind("Job"))},
	}, Spec: job.Spec.Template.Spec}
	edit(pod)
	w.create(pod)
	pod.Status.Phase = corev1.PodSucceeded
	if err := server.Client.Status().Update(w.t.Context(), pod); err != nil {
		w.t.Fatal(err)
	}
}

// end ends a Job as the Job controller would, after its pod where it is completed.
func (w *world) end(job *batchv1.Job, kind batchv1.JobConditionType, at time.Time) {
	w.t.Helper()
	if kind == batchv1.JobComplete {
		w.succeed(job, func(*corev1.Pod) {})
	}
	w.conclude(job, kind, at)
}

// conclude sets what a Job says of itself at its end.
func (w *world) conclude(job *batchv1.Job, kind batchv1.JobConditionType, at time.Time) {
	w.t.Helper()
	before := batchv1.JobSuccessCriteriaMet
	if kind == batchv1.JobFailed {
		before = batchv1.JobFailureTarget
	}
	since := metav1.NewTime(at)
	job.Status.StartTime = &since
	if kind == batchv1.JobComplete {
		job.Status.CompletionTime = &since
	}
	for _, c := range []batchv1.JobConditionType{before, kind} {
		job.Status.Conditions = append(job.Status.Conditions, batchv1.JobCondition{Type: c, Status: corev1.ConditionTrue, LastTransitionTime: since})
	}
	if err := server.Client.Status().Update(w.t.Context(), job); err != nil {
		w.t.Fatal(err)
	}
}

func TestEraseStopsTheRelayErasesItsKeysAndThenRemovesAll(t *testing.T) {
	onServer(t)
	w := newWorld(t)
	relay := w.erasing()
	job := w.untilJob(relay)
	children := w.children(relay)
	if children["StatefulSet"] != nil || children["CronJob"] != nil {
		t.Errorf("keys are being erased while something could make new ones: %v", names(children))
	}
	if children["PersistentVolumeClaim"] == nil {
		t.Error("the volume was removed before the keys were erased")
	}
	w.want(relay, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonErasing)

	w.end(job, batchv1.JobComplete, w.now)
	for range 10 {
		if !w.held(relay) {
			break
		}
		w.pass(relay)
		w.releaseClaim()
	}
	if w.held(relay) {
		t.Fatalf("the relay is still held: %+v", w.reread(relay).Status.Conditions)
	}
	left := w.children(relay)
	for _, kind := range kept {
		if left[kind] != nil && left[kind].GetDeletionTimestamp() == nil {
			t.Errorf("%s is still there", kind)
		}
	}
	if w.get("acme-erase", &batchv1.Job{}) {
		t.Error("the erase Job is still there")
	}
}

// releaseClaim does what the controller that protects claims in use would.
func (w *world) releaseClaim() {
	w.t.Helper()
	claim := &corev1.PersistentVolumeClaim{}
	if w.get("acme-relay", claim) && claim.DeletionTimestamp != nil {
		claim.Finalizers = nil
		if err := server.Client.Update(w.t.Context(), claim); err != nil {
			w.t.Fatal(err)
		}
	}
}

func TestEraseWaitsForTheRelaysPodsToEnd(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	relay.Spec.DeletionPolicy = v1alpha1.DeletionErase
	w.create(relay)
	w.pass(relay)
	pod := w.startPod(relay)
	w.delete(relay)
	for range 4 {
		w.pass(relay)
	}
	c := w.want(relay, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonErasing)
	if !strings.Contains(c.Message, pod.Name) || w.get("acme-erase", &batchv1.Job{}) {
		t.Errorf("keys are erased while pod %s still runs: %q", pod.Name, c.Message)
	}
	if err := server.Client.Delete(t.Context(), pod, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	w.untilJob(relay)
}

func TestErase_FailureIsShownAndRetried(t *testing.T) {
	w := newWorld(t)
	relay := w.erasing()
	job := w.untilJob(relay)
	w.end(job, batchv1.JobFailed, w.now)
	w.pass(relay)
	c := w.want(relay, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonEraseFailed)
	if !strings.Contains(c.Message, "kubectl relay erase") {
		t.Errorf("the message does not name the way out: %q", c.Message)
	}
	if !w.held(relay) || w.children(relay)["PersistentVolumeClaim"] == nil {
		t.Fatal("the relay or its volume was let go though its keys are not erased")
	}
	w.now = w.now.Add(2 * time.Minute)
	for range 3 {
		w.pass(relay)
	}
	if again := w.untilJob(relay); again.UID == job.UID {
		t.Error("the failed Job was not replaced")
	}
}

func TestErase_AdminsAnnotationIsEnough(t *testing.T) {
	w := newWorld(t)
	relay := w.erasing()
	w.end(w.untilJob(relay), batchv1.JobFailed, w.now)
	w.update(relay, func(r *v1alpha1.BusinessRelay) {
		metav1.SetMetaDataAnnotation(&r.ObjectMeta, v1alpha1.AnnotationErased, v1alpha1.AnnotationErasedYes)
	})
	for range 6 {
		if !w.held(relay) {
			return
		}
		w.pass(relay)
		w.releaseClaim()
	}
	t.Errorf("the relay is still held: %+v", w.reread(relay).Status.Conditions)
}

func TestErase_RelayWithoutKeysNeedsNoJob(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	relay.Spec.DeletionPolicy = v1alpha1.DeletionErase
	relay.Spec.DataRegion = "nowhere"
	relay.Finalizers = []string{v1alpha1.Finalizer}
	w.create(relay)
	w.pass(relay)
	w.delete(relay)
	w.pass(relay)
	if w.held(relay) {
		t.Errorf("the relay is held: %+v", w.reread(relay).Status.Conditions)
	}
}

func TestErase_InADeletedNamespaceShowsWhatToDo(t *testing.T) {
	onServer(t)
	w := newWorld(t)
	relay := w.relay("acme")
	relay.Spec.DeletionPolicy = v1alpha1.DeletionErase
	w.create(relay)
	w.pass(relay)
	if err := server.Client.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.name}}); err != nil {
		t.Fatal(err)
	}
	w.delete(relay)
	for range 4 {
		w.pass(relay)
	}
	c := w.want(relay, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonNamespaceTerminating)
	if !strings.Contains(c.Message, "kubectl relay erase") || !strings.Contains(c.Message, v1alpha1.AnnotationErased) {
		t.Errorf("the message does not name the way out: %q", c.Message)
	}
	if !w.held(relay) {
		t.Error("the relay was let go though its keys are not erased")
	}
}

func TestRegion_IsHeldWhileRelaysNameIt(t *testing.T) {
	w := newWorld(t)
	w.regionPass()
	relay := w.relay("acme")
	w.create(relay)
	region := w.region()
	if err := server.Client.Delete(t.Context(), region); err != nil {
		t.Fatal(err)
	}
	w.regionPass()
	if err := server.Client.Get(t.Context(), client.ObjectKeyFromObject(region), region); err != nil {
		t.Fatalf("the region went though a relay names it: %v", err)
	}
	if c := meta.FindStatusCondition(region.Status.Conditions, v1alpha1.ConditionReady); c == nil || c.Reason != v1alpha1.ReasonInUse || region.Status.Relays != 1 {
		t.Errorf("the status is %+v", region.Status)
	}
	w.pass(relay)
	w.want(relay, v1alpha1.ConditionPlaced, metav1.ConditionFalse, v1alpha1.ReasonRegionNotReady)
	if w.get("acme-relay", &appsv1.StatefulSet{}) {
		t.Error("a region that goes took a new relay")
	}
	w.delete(relay)
	w.pass(relay)
	w.collect(relay)
	w.regionPass() // the keeper goes first
	w.regionPass()
	if err := server.Client.Get(t.Context(), client.ObjectKeyFromObject(region), region); client.IgnoreNotFound(err) != nil || err == nil {
		t.Errorf("the region is still there though no relay names it: %v", err)
	}
}

func TestRegion_IsReadyWithNodeAndClass(t *testing.T) {
	w := newWorld(t)
	w.regionPass()
	region := w.region()
	read := func() *metav1.Condition {
		t.Helper()
		if err := server.Client.Get(t.Context(), client.ObjectKeyFromObject(region), region); err != nil {
			t.Fatal(err)
		}
		return meta.FindStatusCondition(region.Status.Conditions, v1alpha1.ConditionReady)
	}
	if c := read(); c == nil || c.Status != metav1.ConditionTrue || region.Status.Nodes != 1 {
		t.Errorf("the status is %+v", region.Status)
	}
	w.written()
	w.regionPass()
	if writes := w.written(); len(writes) > 0 {
		t.Errorf("a pass with nothing to do wrote %v", writes)
	}
	region.Spec.Placement.NodeSelector = map[string]string{"disk": "encrypted"}
	if err := server.Client.Update(t.Context(), region); err != nil {
		t.Fatal(err)
	}
	w.regionPass()
	c := read()
	if c.Status != metav1.ConditionFalse || c.Reason != v1alpha1.ReasonNoMatchingNode || !strings.Contains(c.Message, "disk=encrypted") || region.Status.Nodes != 0 {
		t.Errorf("the status is %+v", region.Status)
	}
}

func TestDeletion_RelayThatNeverRanLeavesNothingBehind(t *testing.T) {
	w := bareWorld(t)
	w.create(w.region()) // which has no node: nothing is started
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	if w.children(relay)["ServiceAccount"] == nil {
		t.Fatal("nothing was made that could be left behind")
	}
	w.delete(relay)
	for range 3 {
		w.pass(relay)
	}
	w.collect(relay)
	if left := w.children(relay); len(left) > 0 || w.held(relay) {
		t.Errorf("left are %v", names(left))
	}
}

func TestLeftovers_OutliveASuccessorThatNeverRan(t *testing.T) {
	w := newWorld(t)
	former := w.relay("acme")
	w.create(former)
	w.pass(former)
	w.delete(former)
	w.pass(former)
	w.collect(former)
	// Times of objects are whole seconds.
	w.within(func() bool {
		return time.Now().Unix() > w.children(former)["ServiceAccount"].GetCreationTimestamp().Unix()
	})
	relay := w.relay("acme")
	relay.Spec.DataRegion = "nowhere"
	relay.Finalizers = []string{v1alpha1.Finalizer}
	w.create(relay)
	w.delete(relay)
	w.pass(relay)
	w.collect(relay)
	for _, kind := range kept {
		if w.children(relay)[kind] == nil {
			t.Errorf("%s of the former relay is gone", kind)
		}
	}
}

func TestRegion_WatchesAndIsHeldByWhatDeletedRelaysLeft(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	w.regionPass()
	region := w.region()
	condition := func() *metav1.Condition {
		t.Helper()
		if err := server.Client.Get(t.Context(), client.ObjectKeyFromObject(region), region); err != nil {
			t.Fatal(err)
		}
		return meta.FindStatusCondition(region.Status.Conditions, v1alpha1.ConditionLeftoversHealthy)
	}
	if c := condition(); c == nil || c.Reason != v1alpha1.ReasonNoLeftovers {
		t.Errorf("with a relay that is there: %+v", c)
	}
	w.delete(relay)
	w.pass(relay)
	w.collect(relay)
	w.regionPass()
	if c := condition(); c.Status != metav1.ConditionTrue || c.Reason != v1alpha1.ReasonOnTime || region.Status.Leftovers != 1 {
		t.Errorf("with a janitor that outlived its relay: %+v, %d leftovers", c, region.Status.Leftovers)
	}
	if healthy := w.metric("relaykeep_retention_healthy"); healthy != -1 {
		t.Errorf("the metric of a janitor that has not run yet is %v", healthy)
	}
	w.now = w.now.Add(3 * time.Hour)
	w.regionPass()
	if c := condition(); c.Status != metav1.ConditionFalse || c.Reason != v1alpha1.ReasonOverdue || !strings.Contains(c.Message, w.name+"/acme") {
		t.Errorf("with a janitor that does not run: %+v", c)
	}
	if err := server.Client.Delete(t.Context(), region); err != nil {
		t.Fatal(err)
	}
	w.regionPass()
	condition()
	if c := meta.FindStatusCondition(region.Status.Conditions, v1alpha1.ConditionReady); c.Reason != v1alpha1.ReasonInUse || !strings.Contains(c.Message, "kubectl relay orphans --region "+w.name+" --delete "+w.name+"/acme") {
		t.Errorf("a region with leftovers that is deleted: %+v", c)
	}
	for _, kind := range []string{"CronJob", "PersistentVolumeClaim"} {
		if err := server.Client.Delete(t.Context(), w.children(relay)[kind]); err != nil {
			t.Fatal(err)
		}
	}
	w.releaseClaim()
	gone := w.within(func() bool {
		w.regionPass() // the keeper goes before the region
		return apierrors.IsNotFound(server.Client.Get(t.Context(), client.ObjectKeyFromObject(region), region))
	})
	if !gone {
		t.Errorf("the region is held though nothing is left: %+v", region.Status.Conditions)
	}
}
