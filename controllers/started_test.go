package controllers_test

import (
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// clear deletes every child, as whoever rules the namespace can.
func (w *world) clear(relay *v1alpha1.BusinessRelay) {
	w.t.Helper()
	for _, o := range w.children(relay) {
		if err := server.Client.Delete(w.t.Context(), o); client.IgnoreNotFound(err) != nil {
			w.t.Fatal(err)
		}
	}
	w.releaseClaim()
}

func TestErasureIsNotSkippedForWhatATenantDeletes(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	relay.Spec.DeletionPolicy = v1alpha1.DeletionErase
	w.create(relay)
	w.pass(relay) // and the relay never reports anything
	w.clear(relay)
	w.delete(relay)
	if job := w.untilJob(relay); len(job.Spec.Template.Spec.Containers) != 1 || !w.held(relay) {
		t.Errorf("the keys are not erased by %+v", job.Spec.Template.Spec)
	}
}

func TestJanitorOutlivesARelayWhoseWorkloadATenantDeleted(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	if err := server.Client.Delete(t.Context(), w.children(relay)["StatefulSet"]); err != nil {
		t.Fatal(err)
	}
	w.delete(relay)
	for range 3 {
		w.pass(relay)
	}
	for _, kind := range kept {
		if w.children(relay)[kind] == nil {
			t.Errorf("%s is gone, though keys may live", kind)
		}
	}
}

func TestStartIsNotedBeforeAnythingRunsAndOnce(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	writes := w.written()
	noted := slices.IndexFunc(writes, func(s string) bool { return s == "apply status *client.unstructuredApplyConfiguration" })
	made := slices.Index(writes, "apply *v1.StatefulSetApplyConfiguration")
	if noted < 0 || made < 0 || noted > made {
		t.Errorf("the start is noted at %d, the workload made at %d of %q", noted, made, writes)
	}
	started := w.reread(relay).Status.StartedTime
	if !started.Equal(new(metav1.NewTime(w.now))) {
		t.Errorf("it started at %v, want %v", started, w.now)
	}
	w.now = w.now.Add(30 * 60e9)
	w.pass(relay)
	if again := w.reread(relay).Status.StartedTime; !again.Equal(started) {
		t.Errorf("it started at %v, and then at %v", started, again)
	}

	bare := bareWorld(t)
	bare.create(bare.region()) // which has no node
	relay = bare.relay("acme")
	bare.create(relay)
	bare.pass(relay)
	if bare.get("acme-relay", &appsv1.StatefulSet{}) || bare.reread(relay).Status.StartedTime != nil {
		t.Error("a relay without a node has started")
	}
}
