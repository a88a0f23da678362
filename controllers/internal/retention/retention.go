// Package retention judges from the janitor's results whether a relay's old keys
// are erased on time. It must not know a client: pods and times in, a verdict out.
package retention

import (
	"encoding/json"
	"regexp"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

const (
	// Period is how often the janitor runs.
	Period = time.Hour
	// grace is how long a run may take, scheduling included.
	grace = 15 * time.Minute
	// overdue is when two runs in a row were missed.
	overdue = 2*Period + grace
	// maxMessage is the size limit of a termination message in Kubernetes, in bytes.
	maxMessage = 4096
)

// reasonPattern is what Kubernetes accepts as a condition's reason.
var reasonPattern = regexp.MustCompile(`^[A-Z][A-Za-z0-9]{0,63}$`)

// Run is a janitor's run that ended.
type Run struct {
	// Finished is when its pod ended, by the cluster's clock.
	Finished time.Time
	// Result is what it reported, nil if it reported nothing that can be read.
	Result *contract.RetentionResult
}

func (r Run) succeeded() bool { return r.Result != nil && r.Result.Succeeded }

// Reason returns why the run failed, fit for a condition.
func (r Run) Reason() (reason, message string) {
	if r.Result == nil || !reasonPattern.MatchString(r.Result.Reason) {
		return v1alpha1.ReasonRunFailed, "the janitor's last run failed without saying why: see the logs of its pod"
	}
	return r.Result.Reason, r.Result.Message
}

// Runs reads the ended runs from janitor pods.
func Runs(pods []corev1.Pod) []Run {
	var runs []Run
	for i := range pods {
		for _, s := range pods[i].Status.ContainerStatuses {
			if t := s.State.Terminated; t != nil {
				runs = append(runs, Run{Finished: t.FinishedAt.Time, Result: parse(t.Message)})
			}
		}
	}
	return runs
}

// parse reads a termination message; nil when it is not a result that this build
// understands.
func parse(message string) *contract.RetentionResult {
	if len(message) > maxMessage {
		return nil
	}
	var r contract.RetentionResult
	if err := json.Unmarshal([]byte(message), &r); err != nil || r.Version != contract.RetentionResultVersion {
		return nil
	}
	return &r
}

// Last returns the run that ended last, nil if none has.
func Last(runs []Run) *Run {
	var last *Run
	for i := range runs {
		if last == nil || runs[i].Finished.After(last.Finished) {
			last = &runs[i]
		}
	}
	return last
}

// Record carries the newest success among runs over into a relay's status.
func Record(status *v1alpha1.RetentionStatus, runs []Run) {
	for _, r := range runs {
		if !r.succeeded() || r.Result.Time.IsZero() {
			continue
		}
		at := metav1.NewTime(r.Result.Time.UTC().Truncate(time.Second))
		if status.LastSuccessTime != nil && !status.LastSuccessTime.Before(&at) {
			continue
		}
		status.LastSuccessTime = &at
		status.OldestKeyTime = nil
		if t := r.Result.OldestKeyTime; t != nil {
			status.OldestKeyTime = new(metav1.NewTime(t.UTC().Truncate(time.Second)))
		}
	}
}

// Health is a verdict for the condition RetentionHealthy.
type Health struct {
	Status          metav1.ConditionStatus
	Reason, Message string
	// Recheck is after what time the verdict may change by itself.
	Recheck time.Duration
}

// Judge says whether a janitor erases on time. Created is the earliest time at which the relay's
// janitor can have been made; it stands in for a success while there is none.
func Judge(now, created time.Time, status v1alpha1.RetentionStatus, last *Run) Health {
	return judge("janitor", now, created, status, last)
}

func judge(who string, now, created time.Time, status v1alpha1.RetentionStatus, last *Run) Health {
	since := created
	if status.LastSuccessTime != nil && status.LastSuccessTime.After(since) {
		since = status.LastSuccessTime.Time
	}
	// While a run's pod exists, the cluster's clock says when it ran: Vault's clock may
	// differ, and would hide missed runs or report runs as missed that were not.
	if last != nil && last.succeeded() && last.Finished.After(created) {
		since = last.Finished
	}
	left := since.Add(overdue).Sub(now)
	failed := last != nil && !last.succeeded()
	switch {
	case left <= 0:
		message := "two runs of the " + who + " in a row were missed: see the CronJob's events and pods"
		if failed {
			_, why := last.Reason()
			message = "two runs of the " + who + " in a row failed or were missed: " + why
		}
		return Health{metav1.ConditionFalse, v1alpha1.ReasonOverdue, message, Period}
	case failed:
		reason, message := last.Reason()
		return Health{metav1.ConditionFalse, reason, message, left}
	case status.LastSuccessTime == nil:
		return Health{metav1.ConditionUnknown, v1alpha1.ReasonAwaitingFirstRun, "the " + who + " runs for the first time within the hour", left}
	case last.withoutReceipt():
		return Health{metav1.ConditionTrue, v1alpha1.ReasonNoReceipts, "old keys are erased on time, " + last.missing(who), left}
	default:
		return Health{metav1.ConditionTrue, v1alpha1.ReasonOnTime, "old keys are erased on time", left}
	}
}

// withoutReceipt says whether a run should have left a receipt and did not.
func (r *Run) withoutReceipt() bool {
	return r != nil && r.succeeded() && r.Result.Receipt != "" && r.Result.Receipt != contract.ReceiptWritten
}

// missing says why a run left no receipt.
func (r *Run) missing(who string) string {
	switch {
	case r.Result.Receipt == contract.ReceiptNotSetUp:
		return "and no receipt says so: Vault was set up by a former release; run kubectl relay setup vault for the region"
	case reasonPattern.MatchString(r.Result.Receipt):
		return "and the " + who + "'s last run left no receipt of it (" + r.Result.Receipt + "); the next one says what is gone since"
	default:
		return "and the " + who + "'s last run left no receipt of it; the next one says what is gone since"
	}
}
