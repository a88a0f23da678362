package controllers_test

import (
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/rollout"
)

// fleet makes relays that are up, in a region that lets one at a time be away.
func (w *world) fleet(n int) (relays []*v1alpha1.BusinessRelay) {
	w.t.Helper()
	w.updateRegion(func(r *v1alpha1.DataRegion) { r.Spec.Rollout.MaxUnavailable = 1 })
	w.status.set(w.healthy())
	for i := range n {
		relay := w.relay(fmt.Sprintf("shop-%d", i))
		number := w.number()
		relay.Spec.PhoneNumber = fmt.Sprintf("%s%d", number[:len(number)-1], i)
		w.create(relay)
		w.pass(relay)
		w.startPod(relay)
		w.eventually(relay, "ready", isReason(v1alpha1.ReasonReady))
		relays = append(relays, relay)
	}
	return relays
}

// upgrade has another version of the operator run.
func (w *world) upgrade(image string) {
	w.restart()
	w.relays.RelayImage = image
}

// image is what a relay's pods are to run.
func (w *world) image(relay *v1alpha1.BusinessRelay) string {
	w.t.Helper()
	return w.children(relay)["StatefulSet"].(*appsv1.StatefulSet).Spec.Template.Spec.Containers[0].Image
}

// comeUp does what the StatefulSet controller and kubelet would after an update.
func (w *world) comeUp(relay *v1alpha1.BusinessRelay) {
	w.t.Helper()
	set := w.children(relay)["StatefulSet"].(*appsv1.StatefulSet)
	set.Status.ObservedGeneration = set.Generation
	if err := server.Client.Status().Update(w.t.Context(), set); err != nil {
		w.t.Fatal(err)
	}
}

// updated are the relays that run an image.
func (w *world) updated(relays []*v1alpha1.BusinessRelay, image string) (n int) {
	w.t.Helper()
	for _, r := range relays {
		if w.image(r) == image {
			n++
		}
	}
	return n
}

func TestUpdate_RestartsAFewRelaysAtATime(t *testing.T) {
	onServer(t) // in memory, who owns a field is lost at the second update
	const next = "ghcr.io/relaykeep/relay:next"
	w := newWorld(t)
	relays := w.fleet(3)
	w.upgrade(next)
	for range 2 {
		for _, r := range relays {
			w.pass(r)
		}
	}
	if n := w.updated(relays, next); n != 1 || w.image(relays[0]) != next {
		t.Fatalf("%d relays are updated at once, want the first alone", n)
	}
	if again := w.pass(relays[1]); again.RequeueAfter <= 0 {
		t.Error("nobody looks again at a relay that waits")
	}
	w.want(relays[1], v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	w.want(relays[1], v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonUpdateWaiting)
	w.quiet(relays[1])

	w.upgrade(next) // another operator knows who has begun
	w.pass(relays[1])
	if n := w.updated(relays, next); n != 1 {
		t.Errorf("after the operator's restart %d relays are updated at once", n)
	}

	for i, r := range relays {
		w.comeUp(r)
		w.pass(r)
		for _, other := range relays {
			w.pass(other)
		}
		if n := w.updated(relays, next); n != min(i+2, 3) {
			t.Errorf("when %d are up again, %d are updated", i+1, n)
		}
	}
	for _, r := range relays {
		w.pass(r)
		w.quiet(r)
		w.absent(r, v1alpha1.ConditionReconciling)
		if since := w.children(r)["StatefulSet"].GetAnnotations()[v1alpha1.AnnotationUpdating]; since != "" {
			t.Errorf("a relay that is up has been updating since %s", since)
		}
	}
}

func TestUpdate_IsPausedByARelayThatDoesNotComeUp(t *testing.T) {
	const next = "ghcr.io/relaykeep/relay:next"
	w := newWorld(t)
	relays := w.fleet(2)
	w.updateRegion(func(r *v1alpha1.DataRegion) { r.Spec.Rollout.MaxUnavailable = 2 })
	w.upgrade(next)
	w.pass(relays[0])
	w.now = w.now.Add(rollout.Patience)
	w.pass(relays[1])
	if n := w.updated(relays, next); n != 1 {
		t.Errorf("behind a relay that does not come up %d are updated", n)
	}
	if c := w.want(relays[1], v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonUpdatePaused); strings.Contains(c.Message, relays[0].Name) {
		t.Errorf("the message is %q", c.Message)
	}
	w.comeUp(relays[0])
	w.pass(relays[0])
	w.pass(relays[1])
	if n := w.updated(relays, next); n != 2 {
		t.Errorf("once it is up, %d are updated", n)
	}
}

// TestUpdate_WhatTakesNoTurn: what the business asks for, and relays that are down.
func TestUpdate_WhatTakesNoTurn(t *testing.T) {
	const next = "ghcr.io/relaykeep/relay:next"
	w := newWorld(t)
	relays := w.fleet(4)
	down := w.children(relays[1])["StatefulSet"].(*appsv1.StatefulSet)
	down.Status.ReadyReplicas = 0
	if err := server.Client.Status().Update(t.Context(), down); err != nil {
		t.Fatal(err)
	}
	w.update(relays[2], func(r *v1alpha1.BusinessRelay) { r.Spec.Retention.Days = 7 })
	w.upgrade(next)
	for _, i := range []int{1, 0, 2, 3, 1} {
		w.pass(relays[i])
	}
	for i, want := range []bool{true, true, true, false} {
		if got := w.image(relays[i]) == next; got != want {
			t.Errorf("relay %d is updated: %t, want %t", i, got, want)
		}
	}
}

// TestUpdate_OfTheRegionIsARolloutToo, unless the policies no longer admit relays as they are.
func TestUpdate_OfTheRegionIsARolloutToo(t *testing.T) {
	w := newWorld(t)
	relays := w.fleet(2)
	hash := func(r *v1alpha1.BusinessRelay) string {
		return w.children(r)["StatefulSet"].GetAnnotations()[v1alpha1.AnnotationTemplateHash]
	}
	before := hash(relays[1])
	w.updateRegion(func(r *v1alpha1.DataRegion) {
		r.Spec.Placement.Tolerations = []corev1.Toleration{{Key: "example.org/relays", Operator: corev1.TolerationOpExists}}
	})
	for _, r := range relays {
		w.pass(r)
	}
	w.want(relays[1], v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonUpdateWaiting)
	if hash(relays[0]) == before || hash(relays[1]) != before {
		t.Error("it is not the first relay alone that gets the region's tolerations")
	}
	w.updateRegion(func(r *v1alpha1.DataRegion) { r.Spec.Vault.Address = "https://vault.example.org:8300" })
	w.pass(relays[1])
	if hash(relays[1]) == before {
		t.Error("a relay waits that may reach its Vault no more")
	}
}

// TestUpdate_HoldsNobodyUpForAnotherReason: a relay that is suspended, or whose pass stops, gives its turn back.
func TestUpdate_HoldsNobodyUpForAnotherReason(t *testing.T) {
	onServer(t)
	const next = "ghcr.io/relaykeep/relay:next"
	w := newWorld(t)
	relays := w.fleet(3)
	config := w.children(relays[0])["ConfigMap"]
	if err := server.Client.Delete(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	w.create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: config.GetName()}})
	w.upgrade(next)
	w.pass(relays[0])
	w.want(relays[0], v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonNameTaken)
	w.pass(relays[1])
	if w.image(relays[1]) != next {
		t.Fatal("a relay whose configuration is another's holds the region's updates up")
	}
	w.update(relays[1], func(r *v1alpha1.BusinessRelay) { r.Spec.Suspend = true })
	w.pass(relays[1])
	w.pass(relays[2])
	if w.image(relays[2]) != next {
		t.Error("a relay that was suspended in its update holds the region's updates up")
	}
}

// TestUpdate_RelayThatWaitsIsMended: what others do to it is undone in the former version, or its janitor would stay stopped
// as long as the roll-out is paused.
func TestUpdate_RelayThatWaitsIsMended(t *testing.T) {
	onServer(t)
	const next = "ghcr.io/relaykeep/relay:next"
	w := newWorld(t)
	relays := w.fleet(2)
	waits := relays[1]
	former := w.image(waits)
	w.upgrade(next)
	w.pass(relays[0])
	w.pass(waits)
	w.want(waits, v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonUpdateWaiting)

	job := w.children(waits)["CronJob"].(*batchv1.CronJob)
	job.Spec.Suspend = new(true)
	w.change(job)
	config := w.children(waits)["ConfigMap"].(*corev1.ConfigMap)
	config.Data["relay.json"] = "{}"
	w.change(config)
	w.pass(waits)
	w.want(waits, v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonUpdateWaiting)
	job = w.children(waits)["CronJob"].(*batchv1.CronJob)
	if *job.Spec.Suspend || job.Spec.JobTemplate.Spec.Template.Spec.Containers[0].Image != former {
		t.Error("the janitor of a relay that waits is stopped, or updated before its relay")
	}
	if w.children(waits)["ConfigMap"].(*corev1.ConfigMap).Data["relay.json"] == "{}" {
		t.Error("the configuration of a relay that waits stays as somebody left it")
	}
	w.quiet(waits)

	if err := server.Client.Delete(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	w.pass(waits)
	if job := w.children(waits)["CronJob"]; job == nil || job.(*batchv1.CronJob).Spec.JobTemplate.Spec.Template.Spec.Containers[0].Image != former {
		t.Error("a janitor that was deleted while its relay waits does not come back as it was")
	}
	if w.image(waits) != former {
		t.Error("the relay did not wait")
	}
	w.lose(waits)
}

// lose has the region lose its nodes, and checks that a relay says so and goes on.
func (w *world) lose(relay *v1alpha1.BusinessRelay) {
	w.t.Helper()
	set := w.children(relay)["StatefulSet"].GetResourceVersion()
	if err := server.Client.Delete(w.t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: w.name}}); err != nil {
		w.t.Fatal(err)
	}
	w.pass(relay)
	w.want(relay, v1alpha1.ConditionPlaced, metav1.ConditionFalse, v1alpha1.ReasonNoMatchingNode)
	if w.children(relay)["StatefulSet"].GetResourceVersion() != set {
		w.t.Error("a relay whose region lost its nodes is changed")
	}
}

// TestUpdate_RelayWithoutItsFormerConfigurationDoesNotWait: it could not start again as it is.
func TestUpdate_RelayWithoutItsFormerConfigurationDoesNotWait(t *testing.T) {
	onServer(t)
	const next = "ghcr.io/relaykeep/relay:next"
	w := newWorld(t)
	relays := w.fleet(2)
	w.upgrade(next)
	w.updateRegion(func(r *v1alpha1.DataRegion) { r.Spec.Endpoint.Domain = "relays.example.org" }) // which is in the configuration
	w.pass(relays[0])
	w.pass(relays[1])
	w.want(relays[1], v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonUpdateWaiting)
	if err := server.Client.Delete(t.Context(), w.children(relays[1])["ConfigMap"]); err != nil {
		t.Fatal(err)
	}
	w.pass(relays[1])
	if w.image(relays[1]) != next || w.children(relays[1])["ConfigMap"] == nil {
		t.Error("a relay waits that has no configuration to start with")
	}
}
