package probe

import (
	"context"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/audit"
	"github.com/relaykeep/relaykeep/controllers/expected"
)

const (
	// lately is how long ago the last run of a janitor or keeper may be: two runs, and some time to run.
	lately = 2*time.Hour + 15*time.Minute
	// leeway is how much older than the retention a key may be: a janitor that runs each hour destroys it before, and
	// clocks differ.
	leeway = time.Hour
	day    = 24 * time.Hour
)

// podRegion looks at the nodes of the relay's pods.
func (a *auditor) podRegion(ctx context.Context, s *subject) audit.Outcome {
	if s.pods.err != nil || len(s.pods.value) == 0 {
		return s.noPod()
	}
	nodes, err := a.shared.allNodes(ctx)
	if err != nil {
		return unread("nodes", err)
	}
	for i := range s.pods.value {
		pod := &s.pods.value[i]
		node, ok := nodes[pod.Spec.NodeName]
		switch {
		case pod.Spec.NodeName == "":
			return notTried("pod %s has no node yet", pod.Name)
		case !ok:
			return notTried("node %s of pod %s is not there", pod.Spec.NodeName, pod.Name)
		case node.Labels[v1alpha1.LabelNodeRegion] != s.region.Name || !s.region.Admits(node.Labels):
			return broken("kubectl get node "+node.Name+" --show-labels", "pod %s is on node %s, which is not the region's", pod.Name, node.Name)
		}
	}
	return kept("every pod is on a node of the region")
}

// volumeRegion looks at the relay's claim and volume.
func (a *auditor) volumeRegion(ctx context.Context, s *subject) audit.Outcome {
	switch {
	case s.claim.err != nil:
		return unread("the relay's claim", s.claim.err)
	case s.claim.value == nil && s.relay.Spec.Storage.Postgres != nil:
		return notTried("the store is in PostgreSQL, and nothing in the cluster says where that is")
	case s.claim.value == nil:
		return notTried("the relay has no claim yet")
	}
	claim := s.claim.value
	show := "kubectl describe pvc " + claim.Name + " -n " + claim.Namespace
	if claim.Labels[v1alpha1.LabelRegion] != s.region.Name {
		return broken(show, "claim %s does not say that it is of the region", claim.Name)
	}
	if class := claim.Spec.StorageClassName; class == nil || *class != string(s.region.Spec.StorageClassName) {
		return broken(show, "claim %s is not of the region's storage class", claim.Name)
	}
	if claim.Spec.VolumeName == "" {
		return notTried("claim %s has no volume yet", claim.Name)
	}
	volume := get(ctx, a.Client, client.ObjectKey{Name: claim.Spec.VolumeName}, &corev1.PersistentVolume{})
	if volume.err != nil {
		return unread("volume of claim "+claim.Name, volume.err)
	}
	nodes, err := a.shared.allNodes(ctx)
	if err != nil {
		return unread("nodes", err)
	}
	var labels []map[string]string
	for _, node := range nodes {
		labels = append(labels, node.Labels)
	}
	if expected.VolumeEvidence(s.region.Name, labels, volume.value) != v1alpha1.VolumeVerified {
		return notTried("the volume can be attached anywhere: that it is in the region is only what the storage class %s says", s.region.Spec.StorageClassName)
	}
	return kept("the volume can be attached on nodes of the region only")
}

// keys judges the age of the relay's oldest key.
func (a *auditor) keys(s *subject) audit.Outcome {
	oldest := s.relay.Status.Retention.OldestKeyTime
	if oldest == nil {
		return notTried("the janitor has not said yet how old the oldest key is")
	}
	return aged(a.Now.Sub(oldest.Time), s.relay)
}

// aged judges the age of a relay's oldest key.
func aged(age time.Duration, relay *v1alpha1.BusinessRelay) audit.Outcome {
	limit := time.Duration(relay.Spec.Retention.Days) * day
	if age > limit+leeway {
		return broken("kubectl relay purge-now "+relay.Name+" -n "+relay.Namespace,
			"the oldest key is %d days old, and the retention is %d", int(age/day), relay.Spec.Retention.Days)
	}
	return kept("the oldest key is younger than the retention of %d days", relay.Spec.Retention.Days)
}

// janitorRuns looks at the relay's janitor.
func (a *auditor) janitorRuns(s *subject) audit.Outcome {
	return a.runs("janitor", s.relay.Name+v1alpha1.SuffixRetention, s.relay.Namespace, s.janitor, s.relay.Status.Retention.LastSuccessTime, "retain")
}

// keeperRuns looks at a region's keeper.
func (s *shared) keeperRuns(ctx context.Context, region *v1alpha1.DataRegion) audit.Outcome {
	name := contract.KeeperName(region.Name)
	cron := get(ctx, s.Client, client.ObjectKey{Namespace: s.OperatorNamespace, Name: name}, &batchv1.CronJob{})
	return s.runs("keeper", name, s.OperatorNamespace, cron, region.Status.Keeper.LastSuccessTime, "keep")
}

// runs judges a CronJob and when it last succeeded.
func (a *auditor) runs(who, name, namespace string, cron read[*batchv1.CronJob], last *metav1.Time, command string) audit.Outcome {
	at := name + " -n " + namespace
	switch {
	case client.IgnoreNotFound(cron.err) != nil:
		return unread("CronJob "+name, cron.err)
	case cron.err != nil:
		return broken("kubectl get cronjob "+at, "the %s is gone: there is no CronJob %s", who, name)
	case cron.value.Spec.Suspend != nil && *cron.value.Spec.Suspend:
		return broken("kubectl patch cronjob "+at+` --type merge -p '{"spec":{"suspend":false}}'`, "the %s is stopped: CronJob %s is suspended", who, name)
	case !hourly(cron.value.Spec.Schedule):
		return broken("kubectl describe cronjob "+at, "the %s does not run each hour: the schedule is %q", who, cron.value.Spec.Schedule)
	case !starts(cron.value, command):
		return broken("kubectl describe cronjob "+at, "the %s does not run what it must: CronJob %s was changed", who, name)
	case last == nil && a.Now.Sub(cron.value.CreationTimestamp.Time) < lately:
		return notTried("the %s runs for the first time within the hour", who)
	case last == nil:
		return broken("kubectl describe cronjob "+at, "the %s has never succeeded", who)
	case a.Now.Sub(last.Time) > lately:
		return broken("kubectl describe cronjob "+at, "the %s last succeeded %d hours ago", who, int(a.Now.Sub(last.Time)/time.Hour))
	}
	return kept("the %s runs each hour, and succeeded within the last two", who)
}

// hourly says whether a schedule is each hour or more often, in the forms that the operator writes.
func hourly(schedule string) bool { return strings.HasSuffix(schedule, " * * * *") }

// starts says whether a CronJob runs one container with a command of the relay's program.
func starts(cron *batchv1.CronJob, command string) bool {
	pod := cron.Spec.JobTemplate.Spec.Template.Spec
	return len(pod.Containers) == 1 && len(pod.InitContainers) == 0 && len(pod.Containers[0].Command) == 0 && slices.Index(pod.Containers[0].Args, command) == 0
}
