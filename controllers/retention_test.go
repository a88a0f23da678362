package controllers_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers"
)

// janitorRan makes the pod that a run of the janitor leaves.
func (w *world) janitorRan(name string, at time.Time, r contract.RetentionResult) {
	w.t.Helper()
	job := &batchv1.CronJob{}
	if !w.get("acme-retention", job) {
		w.t.Fatal("there is no CronJob")
	}
	template := job.Spec.JobTemplate.Spec.Template
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: name, Labels: template.Labels}, Spec: template.Spec}
	w.create(pod)
	message, err := json.Marshal(r)
	if err != nil {
		w.t.Fatal(err)
	}
	pod.Status.Phase = corev1.PodSucceeded
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "janitor", State: corev1.ContainerState{
		Terminated: &corev1.ContainerStateTerminated{FinishedAt: metav1.NewTime(at), Message: string(message)},
	}}}
	if err := server.Client.Status().Update(w.t.Context(), pod); err != nil {
		w.t.Fatal(err)
	}
}

func TestJanitor_ResultsShowInTheStatusUntilRunsAreMissed(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	w.want(relay, v1alpha1.ConditionRetentionHealthy, metav1.ConditionUnknown, v1alpha1.ReasonAwaitingFirstRun)

	oldest := w.now.Add(-29 * 24 * time.Hour)
	w.janitorRan("one", w.now, contract.RetentionResult{
		Version: contract.RetentionResultVersion, Succeeded: true, Time: w.now, OldestKeyTime: &oldest,
	})
	w.pass(relay)
	w.want(relay, v1alpha1.ConditionRetentionHealthy, metav1.ConditionTrue, v1alpha1.ReasonOnTime)
	s := w.reread(relay).Status.Retention
	if !s.LastSuccessTime.Equal(new(metav1.NewTime(w.now))) || !s.OldestKeyTime.Equal(new(metav1.NewTime(oldest))) {
		t.Errorf("the status is %+v", s)
	}
	w.written()
	w.pass(relay)
	if writes := w.written(); len(writes) > 0 {
		t.Errorf("a pass with nothing new wrote %v", writes)
	}

	w.janitorRan("two", w.now.Add(time.Hour), contract.RetentionResult{
		Version: contract.RetentionResultVersion, Time: w.now, Reason: "VaultSealed", Message: "unseal Vault",
	})
	w.now = w.now.Add(time.Hour)
	w.pass(relay)
	w.want(relay, v1alpha1.ConditionRetentionHealthy, metav1.ConditionFalse, "VaultSealed")
	w.tells("Warning VaultSealed unseal Vault")

	w.now = w.now.Add(3 * time.Hour)
	w.pass(relay)
	w.want(relay, v1alpha1.ConditionRetentionHealthy, metav1.ConditionFalse, v1alpha1.ReasonOverdue)
	w.tells("Warning Overdue two runs")
	if got := w.metric("relaykeep_retention_healthy"); got != 0 {
		t.Errorf("the metric says %v, want 0", got)
	}
	w.janitorRan("three", w.now, contract.RetentionResult{
		Version: contract.RetentionResultVersion, Succeeded: true, Time: w.now, OldestKeyTime: &oldest,
	})
	w.pass(relay)
	w.tells("Normal OnTime")
	if got := w.metric("relaykeep_retention_healthy"); got != 1 {
		t.Errorf("the metric says %v, want 1", got)
	}
	if got := w.metric("relaykeep_retention_last_success_timestamp_seconds"); got != float64(w.now.Unix()) {
		t.Errorf("the metric says %v, want %v", got, w.now.Unix())
	}
	if got := w.metric("relaykeep_retention_oldest_key_timestamp_seconds"); got != float64(oldest.Unix()) {
		t.Errorf("the metric says %v, want %v", got, oldest.Unix())
	}
	for days, want := range map[int32]float64{30: 0, 1: w.now.Sub(oldest.Add(24 * time.Hour)).Seconds()} {
		w.update(relay, func(r *v1alpha1.BusinessRelay) { r.Spec.Retention.Days = days })
		if got := w.metric("relaykeep_retention_lag_seconds"); got != want {
			t.Errorf("with a retention of %d days and a key of %v the lag is %v seconds, want %v", days, w.now.Sub(oldest), got, want)
		}
	}
}

func TestMissedRunsOfASuspendedRelaysJanitorAreTold(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	relay.Spec.Suspend = true
	w.create(relay)
	w.pass(relay)
	w.now = w.now.Add(3 * time.Hour)
	w.pass(relay)
	w.want(relay, v1alpha1.ConditionRetentionHealthy, metav1.ConditionFalse, v1alpha1.ReasonOverdue)
	w.tells("Warning Overdue")
}

// tells looks for an event among those of the passes until now.
func (w *world) tells(want string) {
	w.t.Helper()
	var seen []string
	for {
		select {
		case e := <-w.events.Events:
			seen = append(seen, e)
			if strings.Contains(e, want) {
				return
			}
			continue
		default:
		}
		w.t.Errorf("no event has %q among %q", want, seen)
		return
	}
}

// metric returns a gauge of the relay acme.
func (w *world) metric(name string) float64 {
	w.t.Helper()
	registry := prometheus.NewPedanticRegistry()
	// The operator reads a cache; here each read is a request, so only this test's own objects.
	registry.MustRegister(controllers.NewRetentionMetrics(inNamespace{server.Client, w.name}, func() time.Time { return w.now }))
	families, err := registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			if f.GetName() == name && m.Label[1].GetValue() == w.name && m.Label[0].GetValue() == "acme" {
				return m.GetGauge().GetValue()
			}
		}
	}
	w.t.Fatalf("there is no %s of the relay", name)
	return 0
}

func TestJanitor_DeletedIsCreatedAgain(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	janitor := &batchv1.CronJob{}
	w.get("acme-retention", janitor)
	if err := server.Client.Delete(t.Context(), janitor); err != nil {
		t.Fatal(err)
	}
	w.pass(relay)
	again := &batchv1.CronJob{}
	w.get("acme-retention", again)
	if again.UID == janitor.UID || again.DeletionTimestamp != nil {
		t.Error("the janitor is still the deleted one")
	}
}

// inNamespace lists what is in one namespace. Controller-runtime's own asks the API server how an object is scoped, which one in memory
// does not know.
type inNamespace struct {
	client.Reader
	namespace string
}

// List implements client.Reader.
func (r inNamespace) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	return r.Reader.List(ctx, list, append([]client.ListOption{client.InNamespace(r.namespace)}, options...)...)
}
