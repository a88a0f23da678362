package desired

import (
	"fmt"
	"hash/fnv"
	"path"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"
	batchv1ac "k8s.io/client-go/applyconfigurations/batch/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

const (
	// janitorDeadlineSeconds ends a run that hangs, well before the next one.
	janitorDeadlineSeconds int64 = 600
	// janitorStartSeconds is how late a run may start: after that the next one is soon.
	janitorStartSeconds int64 = 1800
	// janitorRetries is how often a run's pod is tried again within the deadline.
	janitorRetries int32 = 2
)

// JanitorMinute is the minute of the hour at which a relay's janitor runs. It is
// derived from the relay's UID, which spreads the janitors over the hour without a
// schedule to configure.
func JanitorMinute(uid types.UID) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(uid)) // a hash never fails
	return int(h.Sum32() % 60)
}

// CronJob runs the janitor every hour. It outlives the relay, until nothing is
// readable.
func CronJob(in Input) *batchv1ac.CronJobApplyConfiguration {
	return batchv1ac.CronJob(in.Relay.Name+v1alpha1.SuffixRetention, in.Relay.Namespace).
		WithLabels(in.labels(v1alpha1.ComponentJanitor)).
		WithSpec(batchv1ac.CronJobSpec().
			WithSchedule(fmt.Sprintf("%d * * * *", JanitorMinute(in.Relay.UID))).
			WithConcurrencyPolicy(batchv1.ForbidConcurrent).
			WithSuspend(false).
			WithStartingDeadlineSeconds(janitorStartSeconds).
			WithSuccessfulJobsHistoryLimit(1).
			WithFailedJobsHistoryLimit(1).
			WithJobTemplate(batchv1ac.JobTemplateSpec().
				WithLabels(in.labels(v1alpha1.ComponentJanitor)).
				WithSpec(in.janitorJob(in.janitorArgs("retain")))))
}

// EraseJob destroys the keys of a relay that is being deleted, and removes its account
// from the carrier: that needs the account's password, which only a relay may read, so
// the Job has the relay's token in addition to the janitor's.
func EraseJob(in Input) *batchv1ac.JobApplyConfiguration {
	spec := in.janitorJob(in.relayArgs("erase"))
	pod := spec.Template.Spec
	pod.WithVolumes(tokenVolume(contract.AudienceRelay(in.Region.Name)).WithName(volumeRelayToken))
	pod.Containers[0].WithVolumeMounts(mount(volumeRelayToken, path.Dir(contract.RelayTokenPath), true))
	return batchv1ac.Job(in.Relay.Name+v1alpha1.SuffixErase, in.Relay.Namespace).
		WithLabels(in.labels(v1alpha1.ComponentJanitor)).
		WithSpec(spec)
}

// janitorJob runs the janitor with arguments. It mounts no volume of the relay:
// erasing needs the keys only, and must work when the volume does not.
func (in Input) janitorJob(args []string) *batchv1ac.JobSpecApplyConfiguration {
	container := in.container(ContainerJanitor, contract.JanitorTokenPath, args).
		WithResources(corev1ac.ResourceRequirements().
			WithRequests(corev1.ResourceList{
				corev1.ResourceCPU:    resource.MustParse("10m"),
				corev1.ResourceMemory: resource.MustParse("32Mi"),
			}).
			WithLimits(corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("128Mi")}))
	return batchv1ac.JobSpec().
		WithBackoffLimit(janitorRetries).
		WithActiveDeadlineSeconds(janitorDeadlineSeconds).
		WithTemplate(corev1ac.PodTemplateSpec().
			WithLabels(in.regional(v1alpha1.ComponentJanitor)).
			WithSpec(in.podSpec(contract.AudienceJanitor(in.Region.Name)).
				WithRestartPolicy(corev1.RestartPolicyNever).
				WithContainers(container)))
}
