package controllers_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers"
)

// keeperCron returns the CronJob of the region's keeper, nil when there is none.
func (w *world) keeperCron() *batchv1.CronJob {
	w.t.Helper()
	cron := &batchv1.CronJob{}
	if !w.get(contract.KeeperName(w.name), cron) {
		return nil
	}
	return cron
}

// keeperRan makes the pod that a run of the keeper leaves.
func (w *world) keeperRan(name string, at time.Time, message string) {
	w.t.Helper()
	template := w.keeperCron().Spec.JobTemplate.Spec.Template
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: w.name, Name: name, Labels: template.Labels}, Spec: template.Spec}
	w.create(pod)
	pod.Status.Phase = corev1.PodSucceeded
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "keeper", State: corev1.ContainerState{
		Terminated: &corev1.ContainerStateTerminated{FinishedAt: metav1.NewTime(at), Message: message},
	}}}
	if err := server.Client.Status().Update(w.t.Context(), pod); err != nil {
		w.t.Fatal(err)
	}
}

func keeperSaid(t *testing.T, r contract.KeeperResult) string {
	t.Helper()
	r.Version = contract.KeeperResultVersion
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// wantKeeper checks the region's condition and returns the region.
func (w *world) wantKeeper(status metav1.ConditionStatus, reason string) *v1alpha1.DataRegion {
	w.t.Helper()
	w.regionPass()
	region := &v1alpha1.DataRegion{}
	if err := server.Client.Get(w.t.Context(), client.ObjectKey{Name: w.name}, region); err != nil {
		w.t.Fatal(err)
	}
	c := meta.FindStatusCondition(region.Status.Conditions, v1alpha1.ConditionKeeperHealthy)
	if c == nil || c.Status != status || c.Reason != reason {
		w.t.Errorf("KeeperHealthy is %+v, want %s, %s", c, status, reason)
	}
	return region
}

func TestKeeper_RunsForEachRegionAndShowsInItsStatus(t *testing.T) {
	w := newWorld(t)
	w.wantKeeper(metav1.ConditionUnknown, v1alpha1.ReasonAwaitingFirstRun)
	name := contract.KeeperName(w.name)
	if !w.get(name, &corev1.ServiceAccount{}) || !w.get(name, &networkingv1.NetworkPolicy{}) || w.keeperCron() == nil {
		t.Fatal("the keeper is not whole")
	}
	w.written()
	w.regionPass()
	if writes := w.written(); len(writes) > 0 {
		t.Errorf("a pass with nothing new wrote %v", writes)
	}

	oldest := w.now.Add(-29 * 24 * time.Hour)
	w.keeperRan("one", w.now, keeperSaid(t, contract.KeeperResult{Succeeded: true, Time: w.now, Keys: 7, Looked: 7, OldestKeyTime: &oldest}))
	s := w.wantKeeper(metav1.ConditionTrue, v1alpha1.ReasonOnTime).Status.Keeper
	if s.WrappingKeys != 7 || !s.LastSuccessTime.Equal(new(metav1.NewTime(w.now))) || !s.OldestKeyTime.Equal(new(metav1.NewTime(oldest))) {
		t.Errorf("the status is %+v", s)
	}
	if got := w.keeperMetric("relaykeep_keeper_healthy"); got != 1 {
		t.Errorf("the metric says %v", got)
	}
	if got := w.keeperMetric("relaykeep_keeper_last_success_timestamp_seconds"); got != float64(w.now.Unix()) {
		t.Errorf("the metric says %v", got)
	}
	if got := w.keeperMetric("relaykeep_keeper_oldest_key_timestamp_seconds"); got != float64(oldest.Unix()) {
		t.Errorf("the metric says %v", got)
	}

	w.now = w.now.Add(time.Hour)
	w.keeperRan("two", w.now, keeperSaid(t, contract.KeeperResult{Time: w.now, Reason: "Incomplete", Message: "not all"}))
	if s := w.wantKeeper(metav1.ConditionFalse, "Incomplete").Status.Keeper; s.WrappingKeys != 7 || w.keeperMetric("relaykeep_keeper_healthy") != 0 {
		t.Errorf("after a failed run the status is %+v", s)
	}
	w.now = w.now.Add(time.Minute)
	w.keeperRan("three", w.now, `{"version": 99}`)
	w.wantKeeper(metav1.ConditionFalse, v1alpha1.ReasonRunFailed)
	w.now = w.now.Add(3 * time.Hour)
	w.wantKeeper(metav1.ConditionFalse, v1alpha1.ReasonOverdue)
}

func TestKeeper_DeletedIsCreatedAgain(t *testing.T) {
	w := newWorld(t)
	w.regionPass()
	if err := server.Client.Delete(t.Context(), w.keeperCron(), client.PropagationPolicy(metav1.DeletePropagationBackground)); err != nil {
		t.Fatal(err)
	}
	w.regionPass()
	if w.keeperCron() == nil {
		t.Error("there is no keeper")
	}
}

// What a region's Vault holds dies by the keeper alone once the cluster forgot its
// tenants: the region stays until it is gone, or an admin says that the Vault is.
func TestRegion_IsHeldWhileItsVaultHoldsKeys(t *testing.T) {
	w := newWorld(t)
	w.regionPass()
	w.keeperRan("one", w.now, keeperSaid(t, contract.KeeperResult{Succeeded: true, Time: w.now, Keys: 2, Looked: 2}))
	region := w.region()
	if err := server.Client.Delete(t.Context(), region); err != nil {
		t.Fatal(err)
	}
	region = w.wantKeeper(metav1.ConditionTrue, v1alpha1.ReasonOnTime)
	c := meta.FindStatusCondition(region.Status.Conditions, v1alpha1.ConditionReady)
	if c == nil || c.Reason != v1alpha1.ReasonInUse || !strings.Contains(c.Message, "holds 2 wrapping keys") {
		t.Errorf("Ready is %+v", c)
	}
	if cron := w.keeperCron(); cron == nil || cron.Spec.Schedule != "*/5 * * * *" {
		t.Errorf("the keeper is %+v", cron)
	}
	w.now = w.now.Add(time.Minute)
	w.keeperRan("two", w.now, keeperSaid(t, contract.KeeperResult{Succeeded: true, Time: w.now}))
	w.regionPass()
	w.regionPass()
	if err := server.Client.Get(t.Context(), client.ObjectKeyFromObject(region), region); err == nil {
		t.Errorf("the region is still there: %+v", region.Status)
	}
	if w.keeperCron() != nil || w.get(contract.KeeperName(w.name), &corev1.ServiceAccount{}) || w.get(contract.KeeperName(w.name), &networkingv1.NetworkPolicy{}) {
		t.Error("the keeper is left behind")
	}
}

func TestRegion_WhoseVaultIsGoneCanBeAbandoned(t *testing.T) {
	w := newWorld(t)
	w.regionPass()
	w.keeperRan("one", w.now, keeperSaid(t, contract.KeeperResult{Succeeded: true, Time: w.now, Keys: 2, Looked: 2}))
	region := w.region()
	if err := server.Client.Delete(t.Context(), region); err != nil {
		t.Fatal(err)
	}
	region = w.wantKeeper(metav1.ConditionTrue, v1alpha1.ReasonOnTime)
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"relaykeep.dev/abandon-keys":"true"}}}`))
	if err := server.Client.Patch(t.Context(), region, patch); err != nil {
		t.Fatal(err)
	}
	w.regionPass()
	w.regionPass()
	if err := server.Client.Get(t.Context(), client.ObjectKeyFromObject(region), region); err == nil {
		t.Errorf("the region is still there: %+v", region.Status)
	}
}

// keeperMetric returns a gauge of the region's keeper.
func (w *world) keeperMetric(name string) float64 {
	w.t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(controllers.NewKeeperMetrics(server.Client))
	families, err := registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			if f.GetName() == name && m.Label[0].GetValue() == w.name {
				return m.GetGauge().GetValue()
			}
		}
	}
	w.t.Fatalf("there is no %s of the region", name)
	return 0
}

func TestKeeper_ImageIsPulledWithTheOperatorsSecrets(t *testing.T) {
	w := newWorld(t)
	for _, secrets := range [][]string{{"registry", "mirror"}, {"mirror"}, nil} {
		w.regions.PullSecrets = secrets
		w.regionPass()
		var got []string
		for _, s := range w.keeperCron().Spec.JobTemplate.Spec.Template.Spec.ImagePullSecrets {
			got = append(got, s.Name)
		}
		slices.Sort(got)
		slices.Sort(secrets)
		if !slices.Equal(got, secrets) {
			t.Errorf("the pull secrets are %q, want %q", got, secrets)
		}
	}
}
