package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// clockVariable shifts the clock of the relay's test build.
const clockVariable = "RELAYKEEP_CLOCK_OFFSET"

// RunJanitor runs a business's janitor once, as its CronJob would, and returns what
// it reported. With an offset it runs in the test build of the image and believes
// that it is so much later.
func (l *Lab) RunJanitor(ctx context.Context, b *Business, offset time.Duration) (contract.RetentionResult, error) {
	var cron batchv1.CronJob
	if err := l.kube.Get(ctx, types.NamespacedName{Namespace: b.Name, Name: b.Name + v1alpha1.SuffixRetention}, &cron); err != nil {
		return contract.RetentionResult{}, fmt.Errorf("reading the janitor of %s: %w", b.Name, err)
	}
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: b.Name, GenerateName: cron.Name + "-now-", Labels: cron.Spec.JobTemplate.Labels,
			Annotations: map[string]string{"cronjob.kubernetes.io/instantiate": "manual"},
		},
		Spec: *cron.Spec.JobTemplate.Spec.DeepCopy(),
	}
	job.Spec.BackoffLimit = new(int32(0))
	if offset != 0 {
		c := &job.Spec.Template.Spec.Containers[0]
		c.Image = TestClockRelay
		c.Env = append(c.Env, corev1.EnvVar{Name: clockVariable, Value: offset.String()})
	}
	if err := l.kube.Create(ctx, job); err != nil {
		return contract.RetentionResult{}, fmt.Errorf("running the janitor of %s: %w", b.Name, err)
	}
	defer func() {
		// Best effort: Kubernetes keeps its report for as long as the demo needs it.
		_ = l.kube.Delete(context.WithoutCancel(ctx), job, client.PropagationPolicy(metav1.DeletePropagationBackground))
	}()
	var result contract.RetentionResult
	err := waitWith(ctx, func(ctx context.Context) error {
		return Poll(ctx, func(ctx context.Context) (err error) {
			result, err = l.janitorResult(ctx, job)
			return err
		})
	})
	if err == nil && !result.Succeeded {
		err = fmt.Errorf("the janitor of %s failed: %s: %s", b.Name, result.Reason, result.Message)
	}
	return result, err
}

// janitorResult reads what the Job's pod left as its termination message.
func (l *Lab) janitorResult(ctx context.Context, job *batchv1.Job) (contract.RetentionResult, error) {
	var pods corev1.PodList
	if err := l.kube.List(ctx, &pods, client.InNamespace(job.Namespace), client.MatchingLabels{batchv1.JobNameLabel: job.Name}); err != nil {
		return contract.RetentionResult{}, fmt.Errorf("looking for the janitor's pod: %w", err)
	}
	for _, p := range pods.Items {
		for _, c := range p.Status.ContainerStatuses {
			if c.State.Terminated == nil {
				continue
			}
			var result contract.RetentionResult
			if err := json.Unmarshal([]byte(c.State.Terminated.Message), &result); err != nil {
				return result, fmt.Errorf("the janitor ended with code %d and no report", c.State.Terminated.ExitCode)
			}
			return result, nil
		}
	}
	return contract.RetentionResult{}, fmt.Errorf("the janitor's pod has not ended: %d pods", len(pods.Items))
}
