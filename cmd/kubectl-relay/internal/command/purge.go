package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/printable"
)

// purgeEvery is how often purge-now looks whether the janitor has ended.
const purgeEvery = time.Second

func newPurgeNow(streams genericiooptions.IOStreams) *cobra.Command {
	var within time.Duration
	cmd := &cobra.Command{
		Use:   "purge-now NAME",
		Short: "Run a relay's janitor now, and say what it erased",
		Long: `Run a relay's janitor now instead of at its minute of the hour, and wait for its report: how
many key versions it destroyed, and how old the oldest that is left is. Nothing that was
sealed under a destroyed version can be read again by anybody.

The janitor destroys only what is older than the retention. To make less be kept, lower
spec.retention.days of the BusinessRelay first. To erase one person, use erase-customer.

You need the right to create Jobs in the relay's namespace.`,
		Example: `  kubectl relay purge-now acme -n acme`,
		Args:    oneRelay,
	}
	cmd.Flags().DurationVar(&within, "timeout", 2*time.Minute, "how long to wait for the janitor's report")
	cluster := newCluster(cmd)
	cmd.ValidArgsFunction = cluster.firstRelay()
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if within <= 0 {
			return usage(cmd, "--timeout must be more than 0")
		}
		k, namespace, err := cluster.connect()
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), within)
		defer cancel()
		result, err := purge(ctx, k, client.ObjectKey{Namespace: namespace, Name: args[0]})
		if err != nil {
			return err
		}
		return printPurge(streams, result, time.Now())
	}
	return cmd
}

// errUnreported says that a janitor has not reported yet.
var errUnreported = errors.New("the janitor has not ended")

// purge runs the janitor of a relay once, as its CronJob would, and returns its report.
func purge(ctx context.Context, k client.Client, relay client.ObjectKey) (contract.RetentionResult, error) {
	var cron batchv1.CronJob
	key := client.ObjectKey{Namespace: relay.Namespace, Name: relay.Name + v1alpha1.SuffixRetention}
	if err := k.Get(ctx, key, &cron); err != nil {
		return contract.RetentionResult{}, explain(err, fmt.Sprintf("janitor of a relay %s in namespace %s", relay.Name, relay.Namespace), meantRelay(ctx, k, relay.Namespace, relay.Name, err))
	}
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: cron.Namespace, GenerateName: cron.Name + "-now-", Labels: cron.Spec.JobTemplate.Labels,
			Annotations: map[string]string{"cronjob.kubernetes.io/instantiate": "manual"}, // as kubectl create job does
		},
		Spec: *cron.Spec.JobTemplate.Spec.DeepCopy(),
	}
	job.Spec.TTLSecondsAfterFinished = new(int32(3600))
	if err := k.Create(ctx, job); err != nil {
		return contract.RetentionResult{}, fmt.Errorf("running the janitor: %w", err)
	}
	var result contract.RetentionResult
	err := wait.PollUntilContextCancel(ctx, purgeEvery, true, func(ctx context.Context) (bool, error) {
		var err error
		result, err = purgeResult(ctx, k, job)
		if errors.Is(err, errUnreported) {
			return false, nil
		}
		return true, err
	})
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w in time: see kubectl describe job %s -n %s", errUnreported, job.Name, job.Namespace)
	}
	return result, err
}

// purgeResult reads what the last pod of a janitor's Job left as its termination message.
func purgeResult(ctx context.Context, k client.Reader, job *batchv1.Job) (contract.RetentionResult, error) {
	var live batchv1.Job
	if err := k.Get(ctx, client.ObjectKeyFromObject(job), &live); err != nil {
		return contract.RetentionResult{}, explain(err, "Job "+job.Name, "try again")
	}
	if !slices.ContainsFunc(live.Status.Conditions, func(c batchv1.JobCondition) bool {
		return c.Status == corev1.ConditionTrue && (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed)
	}) {
		return contract.RetentionResult{}, errUnreported // a pod that failed is tried again
	}
	var pods corev1.PodList
	if err := k.List(ctx, &pods, client.InNamespace(job.Namespace), client.MatchingLabels{batchv1.JobNameLabel: job.Name}); err != nil {
		return contract.RetentionResult{}, explain(err, "the janitor's pods", "try again")
	}
	var last *corev1.ContainerStateTerminated
	for _, p := range pods.Items {
		for _, c := range p.Status.ContainerStatuses {
			if t := c.State.Terminated; t != nil && (last == nil || last.FinishedAt.Before(&t.FinishedAt)) {
				last = t
			}
		}
	}
	if last == nil {
		return contract.RetentionResult{}, errUnreported
	}
	var result contract.RetentionResult
	if err := json.Unmarshal([]byte(last.Message), &result); err != nil {
		return result, fmt.Errorf("the janitor ended with code %d and no report: see kubectl logs job/%s -n %s", last.ExitCode, job.Name, job.Namespace)
	}
	return result, nil
}

func printPurge(streams genericiooptions.IOStreams, r contract.RetentionResult, now time.Time) error {
	if !r.Succeeded {
		return fmt.Errorf("the janitor failed: %s: %s", printable.Text(r.Reason), printable.Text(r.Message))
	}
	fmt.Fprintf(streams.Out, "%s destroyed; messages are kept for %s.\n", count(r.Erased, "key version"), count(r.RetentionDays, "day"))
	if r.Receipt != "" && r.Receipt != contract.ReceiptWritten {
		fmt.Fprintf(streams.ErrOut, "note: the run left no receipt in Vault (%s): kubectl relay doctor says what to do\n", printable.Text(r.Receipt))
	}
	if r.OldestKeyTime != nil {
		fmt.Fprintf(streams.Out, "The oldest that is left was made %s ago.\n", age(metav1.NewTime(*r.OldestKeyTime), now))
	}
	return nil
}
