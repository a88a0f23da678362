package scale_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

const (
	// countVariable says how many relays there are.
	countVariable = "RELAYKEEP_BENCH_RELAYS"
	defaultCount  = 1000
	// restFor is for how long nothing may be written.
	restFor = time.Minute
	// calmFor is how long before that the manager had nothing to do: Go's runtime collects garbage at the latest every two
	// minutes, and gives pages back for a while after.
	calmFor = 150*time.Second - restFor
	// baseMemory is what the manager may have without relays.
	baseMemory = 64 << 20
)

// relays says how many relays there are.
func relays(tb testing.TB) int {
	tb.Helper()
	said := os.Getenv(countVariable)
	if said == "" {
		return defaultCount
	}
	n, err := strconv.Atoi(said)
	if err != nil || n < 1 {
		tb.Fatalf("%s is %q, and must be a number of relays", countVariable, said)
	}
	return n
}

// BenchmarkScale brings up relays, lets them rest and restarts the manager, and then applies the same objects to another
// API server by a bare client.
func BenchmarkScale(b *testing.B) {
	count := relays(b)
	objects := benchmarkOperator(b, count)
	c := startCluster(b)
	cfg, _ := c.user("bare")
	bare, err := dynamic.NewForConfig(cfg)
	check(b, err)
	before := c.requests()
	up := counted(c, &appsv1.StatefulSetList{}, count, func(s *appsv1.StatefulSet) bool { return s.Status.ReadyReplicas == 1 })
	begun := time.Now()
	applyAll(b, bare, objects)
	b.ReportMetric(float64(time.Since(begun).Nanoseconds()), "bare-applied-ns/op")
	b.ReportMetric(float64(up().Sub(begun).Nanoseconds()), "bare-ns/op")
	asked := c.requests().since(before)
	b.ReportMetric(asked.writes/float64(count), "bare-writes/relay")
	b.ReportMetric(asked.reads/float64(count), "bare-reads/relay")
}

// benchmarkOperator measures the operator, and returns what it applied.
func benchmarkOperator(b *testing.B, count int) [][]object {
	b.Helper()
	program, c := buildManager(b), startCluster(b)
	_, kubeconfig := c.user("relaykeep-manager", "config", "rbac", "role.yaml")
	file := filepath.Join(b.TempDir(), "kubeconfig")
	check(b, os.WriteFile(file, kubeconfig, 0o600))
	m := startManager(b, program, file)
	c.addRegions()

	before := c.requests()
	up := counted(c, &v1alpha1.BusinessRelayList{}, count, func(r *v1alpha1.BusinessRelay) bool {
		return is(r.Status.Conditions, v1alpha1.ConditionReady)
	})
	cpu, begun := m.cpu(), time.Now()
	each(b, count, func(ctx context.Context, n int) error { return c.admin.Create(ctx, relay(n)) })
	b.ReportMetric(float64(up().Sub(begun).Nanoseconds()), "ready-ns/op")
	m.settle(count, 10*time.Minute)
	b.ReportMetric(float64((m.cpu()-cpu).Nanoseconds())/float64(count), "cpu-ns/relay")
	asked := c.requests().since(before)
	b.ReportMetric(asked.writes/float64(count), "writes/relay")
	b.ReportMetric(asked.reads/float64(count), "reads/relay")
	b.ReportMetric(m.passes(b.Context()).done/float64(count), "passes/relay")

	c.hourPasses()
	m.settle(count, 10*time.Minute)
	<-time.After(calmFor)
	c.benchmarkRest(b, m, count)
	m.stop()
	c.benchmarkRestart(b, func() *manager { return startManager(b, program, file) }, count)
	return c.record()
}

// benchmarkRest measures a manager that has nothing to do.
func (c *cluster) benchmarkRest(b *testing.B, m *manager, count int) {
	b.Helper()
	before, passes, cpu := c.requests(), m.passes(b.Context()).done, m.cpu()
	<-time.After(restFor)
	b.ReportMetric(c.requests().since(before).writes, "rest-writes")
	b.ReportMetric((m.passes(b.Context()).done-passes)/float64(count), "rest-passes/relay")
	b.ReportMetric(float64((m.cpu()-cpu).Nanoseconds())/restFor.Seconds(), "rest-cpu-ns/s")
	memory := m.memory()
	b.ReportMetric(float64(memory), "B/manager")
	b.ReportMetric(float64(memory-baseMemory)/float64(count), "B/relay")
}

// benchmarkRestart measures a manager that finds everything in place.
func (c *cluster) benchmarkRestart(b *testing.B, start func() *manager, count int) {
	b.Helper()
	before, events, begun := c.requests(), c.leaderEvents(), time.Now()
	m := start()
	b.ReportMetric(float64(m.settle(count, 10*time.Minute).Sub(begun).Nanoseconds()), "restart-ns/op")
	asked := c.requests().since(before)
	b.ReportMetric(asked.writes-float64(c.leaderEvents()-events), "restart-writes")
	b.ReportMetric(asked.reads/float64(count), "restart-reads/relay")
	b.ReportMetric(m.passes(b.Context()).done/float64(count), "restart-passes/relay")
	b.ReportMetric(float64(m.cpu().Nanoseconds())/float64(count), "restart-cpu-ns/relay")
	b.ReportMetric(float64(m.memory()), "restart-B/manager")
	m.stop()
}

// leaderEvents counts the events that tell of a Lease's holder: they belong to the Lease.
func (c *cluster) leaderEvents() (n int) {
	c.tb.Helper()
	list := &corev1.EventList{}
	check(c.tb, c.admin.List(c.tb.Context(), list, client.InNamespace(operatorNamespace)))
	for i := range list.Items {
		if list.Items[i].Reason == "LeaderElection" {
			n += max(1, int(list.Items[i].Count))
		}
	}
	return n
}

// hourPasses has each relay's janitor run once.
func (c *cluster) hourPasses() {
	c.tb.Helper()
	jobs := &batchv1.CronJobList{}
	check(c.tb, c.admin.List(c.tb.Context(), jobs, client.MatchingLabels{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}))
	each(c.tb, len(jobs.Items), func(ctx context.Context, n int) error {
		job := &jobs.Items[n]
		template := job.Spec.JobTemplate.Spec.Template.DeepCopy()
		pod := &corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
		pod.Namespace, pod.Name = job.Namespace, job.Name+"-1"
		pod.Spec.NodeName = nodeName(job.Spec.JobTemplate.Spec.Template.Labels[v1alpha1.LabelRegion])
		if err := c.admin.Create(ctx, pod); err != nil {
			return err
		}
		now := metav1.Now()
		result, err := json.Marshal(contract.RetentionResult{Version: contract.RetentionResultVersion, Succeeded: true, Time: now.Time, RetentionDays: 30, LatestVersion: 3, OldestVersion: 2, OldestKeyTime: &now.Time})
		if err != nil {
			return err
		}
		pod.Status = corev1.PodStatus{Phase: corev1.PodSucceeded, ContainerStatuses: []corev1.ContainerStatus{{
			Name: template.Spec.Containers[0].Name, Image: image, ImageID: imageID,
			State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed", FinishedAt: now, Message: string(result)}},
		}}}
		return c.admin.Status().Update(ctx, pod)
	})
}
