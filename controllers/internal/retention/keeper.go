package retention

import (
	"encoding/json"
	"math"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// KeeperRun is a run of a region's keeper that ended.
type KeeperRun struct {
	// Finished is when its pod ended, by the cluster's clock.
	Finished time.Time
	// Result is what it reported, nil if it reported nothing that can be read.
	Result *contract.KeeperResult
}

// LastKeeperRun returns the run that ended last, nil if none has.
func LastKeeperRun(pods []corev1.Pod) *KeeperRun {
	var last *KeeperRun
	for i := range pods {
		for _, s := range pods[i].Status.ContainerStatuses {
			t := s.State.Terminated
			if t != nil && (last == nil || t.FinishedAt.After(last.Finished)) {
				last = &KeeperRun{Finished: t.FinishedAt.Time, Result: parseKeeper(t.Message)}
			}
		}
	}
	return last
}

// parseKeeper reads a termination message; nil when it is not a result that this build
// understands.
func parseKeeper(message string) *contract.KeeperResult {
	if len(message) > maxMessage {
		return nil
	}
	var r contract.KeeperResult
	if err := json.Unmarshal([]byte(message), &r); err != nil || r.Version != contract.KeeperResultVersion {
		return nil
	}
	return &r
}

// RecordKeeper carries a success over into a region's status.
func RecordKeeper(status *v1alpha1.KeeperStatus, run *KeeperRun) {
	if run == nil || run.Result == nil || !run.Result.Succeeded || run.Result.Time.IsZero() {
		return
	}
	at := metav1.NewTime(run.Result.Time.UTC().Truncate(time.Second))
	if status.LastSuccessTime != nil && !status.LastSuccessTime.Before(&at) {
		return
	}
	*status = v1alpha1.KeeperStatus{LastSuccessTime: &at, WrappingKeys: int32(min(max(run.Result.Keys, 0), math.MaxInt32))}
	if t := run.Result.OldestKeyTime; t != nil {
		status.OldestKeyTime = new(metav1.NewTime(t.UTC().Truncate(time.Second)))
	}
}

// JudgeKeeper says whether a region's keeper runs on time. Created is the earliest time
// at which it can have been made.
func JudgeKeeper(now, created time.Time, status v1alpha1.KeeperStatus, run *KeeperRun) Health {
	var last *Run
	if run != nil {
		last = &Run{Finished: run.Finished}
		if r := run.Result; r != nil {
			last.Result = &contract.RetentionResult{Succeeded: r.Succeeded, Time: r.Time, Receipt: r.Receipt, Reason: r.Reason, Message: r.Message}
		}
	}
	h := judge("keeper", now, created, v1alpha1.RetentionStatus{LastSuccessTime: status.LastSuccessTime}, last)
	switch h.Reason {
	case v1alpha1.ReasonRunFailed:
		h.Message = "the keeper's last run failed without saying why: see the logs of its pod"
	case v1alpha1.ReasonOnTime:
		h.Message = "no wrapping key has a version older than 30 days"
	}
	return h
}
