package command

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/relaykeep/relaykeep/api/contract"
)

// janitors is a cluster in memory where a janitor's pod ends at once, with these messages.
func janitors(t *testing.T, messages ...string) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	check(t, clientgoscheme.AddToScheme(scheme))
	cron := &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "acme-retention"}}
	cron.Spec.JobTemplate.Labels = map[string]string{"a": "b"}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(cron).WithInterceptorFuncs(interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			if err := c.Create(ctx, o, opts...); err != nil {
				return err
			}
			for i, message := range messages {
				pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
					Namespace: o.GetNamespace(), Name: o.GetName() + "-" + string(rune('a'+i)), Labels: map[string]string{batchv1.JobNameLabel: o.GetName()},
				}}
				pod.Status.ContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
					Message: message, ExitCode: 1, FinishedAt: metav1.NewTime(now().Add(time.Duration(i) * time.Minute)),
				}}}}
				if err := c.Create(ctx, pod); err != nil {
					return err
				}
			}
			if len(messages) == 0 {
				return nil
			}
			job := o.(*batchv1.Job)
			job.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobFailed, Status: corev1.ConditionTrue}}
			return c.Status().Update(ctx, job)
		},
	}).WithStatusSubresource(&batchv1.Job{}).Build()
}

func TestPurgeNow_PrintsTheLastReport(t *testing.T) {
	report := func(r contract.RetentionResult) string {
		raw, err := json.Marshal(r)
		check(t, err)
		return string(raw)
	}
	oldest := now().Add(-29 * 24 * time.Hour)
	failed := report(contract.RetentionResult{Reason: "VaultSealed", Message: "unseal it"})
	done := report(contract.RetentionResult{Succeeded: true, Erased: 2, RetentionDays: 30, OldestKeyTime: &oldest})
	for name, tt := range map[string]struct {
		messages   []string
		out, wrong string
	}{
		"done":               {[]string{done}, "2 key versions destroyed; messages are kept for 30 days.\nThe oldest that is left was made 29d ago.\n", ""},
		"at the second time": {[]string{failed, done}, "2 key versions destroyed; messages are kept for 30 days.\nThe oldest that is left was made 29d ago.\n", ""},
		"failed":             {[]string{failed}, "", "VaultSealed: unseal it"},
		"no report":          {[]string{"killed"}, "", "ended with code 1 and no report"},
	} {
		t.Run(name, func(t *testing.T) {
			result, err := purge(t.Context(), janitors(t, tt.messages...), client.ObjectKey{Namespace: "acme", Name: "acme"})
			var out bytes.Buffer
			if err == nil {
				err = printPurge(genericiooptions.IOStreams{Out: &out}, result, now())
			}
			if out.String() != tt.out || (err == nil) != (tt.wrong == "") || err != nil && !strings.Contains(err.Error(), tt.wrong) {
				t.Errorf("printed %q, error %v; want %q, %q", out.String(), err, tt.out, tt.wrong)
			}
		})
	}
}

func TestPurgeNow_SaysWhatIsMissing(t *testing.T) {
	if _, err := purge(t.Context(), janitors(t), client.ObjectKey{Namespace: "acme", Name: "none"}); err == nil || !strings.Contains(err.Error(), "there is no janitor of a relay none") {
		t.Errorf("of a relay that is not there: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := purge(ctx, janitors(t), client.ObjectKey{Namespace: "acme", Name: "acme"}); err == nil || !strings.Contains(err.Error(), "in time") {
		t.Errorf("when no pod ends: %v", err)
	}
}
