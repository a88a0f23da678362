package retention

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func success(at time.Time) Run {
	return Run{Finished: at, Result: &contract.RetentionResult{Version: 1, Succeeded: true, Time: at}}
}

// unsaid is a success that says how its receipt went.
func unsaid(at time.Time, receipt string) Run {
	r := success(at)
	r.Result.Receipt = receipt
	return r
}

func failure(at time.Time, reason string) Run {
	return Run{Finished: at, Result: &contract.RetentionResult{Version: 1, Time: at, Reason: reason, Message: "unseal Vault"}}
}

func TestErasureIsHealthyUntilTwoRunsAreMissed(t *testing.T) {
	cases := map[string]struct {
		now    time.Duration // after noon, when the relay was made
		runs   []Run
		status metav1.ConditionStatus
		reason string
	}{
		"not run yet":             {30 * time.Minute, nil, metav1.ConditionUnknown, v1alpha1.ReasonAwaitingFirstRun},
		"never run":               {3 * time.Hour, nil, metav1.ConditionFalse, v1alpha1.ReasonOverdue},
		"on time":                 {90 * time.Minute, []Run{success(noon.Add(time.Hour))}, metav1.ConditionTrue, v1alpha1.ReasonOnTime},
		"one missed":              {3 * time.Hour, []Run{success(noon.Add(time.Hour))}, metav1.ConditionTrue, v1alpha1.ReasonOnTime},
		"two missed":              {4 * time.Hour, []Run{success(noon.Add(time.Hour))}, metav1.ConditionFalse, v1alpha1.ReasonOverdue},
		"failed":                  {2 * time.Hour, []Run{success(noon.Add(time.Hour)), failure(noon.Add(2*time.Hour), "VaultSealed")}, metav1.ConditionFalse, "VaultSealed"},
		"failed and then done":    {2 * time.Hour, []Run{success(noon.Add(2 * time.Hour)), failure(noon.Add(time.Hour), "VaultSealed")}, metav1.ConditionTrue, v1alpha1.ReasonOnTime},
		"failed for too long":     {5 * time.Hour, []Run{success(noon.Add(time.Hour)), failure(noon.Add(4*time.Hour), "VaultSealed")}, metav1.ConditionFalse, v1alpha1.ReasonOverdue},
		"failed without a word":   {time.Hour, []Run{{Finished: noon}}, metav1.ConditionFalse, v1alpha1.ReasonRunFailed},
		"failed with a bad word":  {time.Hour, []Run{failure(noon, "no reason")}, metav1.ConditionFalse, v1alpha1.ReasonRunFailed},
		"without a receipt":       {90 * time.Minute, []Run{unsaid(noon.Add(time.Hour), contract.ReceiptNotSetUp)}, metav1.ConditionTrue, v1alpha1.ReasonNoReceipts},
		"receipt failed":          {90 * time.Minute, []Run{unsaid(noon.Add(time.Hour), "VaultSealed")}, metav1.ConditionTrue, v1alpha1.ReasonNoReceipts},
		"with a receipt":          {90 * time.Minute, []Run{unsaid(noon.Add(time.Hour), contract.ReceiptWritten)}, metav1.ConditionTrue, v1alpha1.ReasonOnTime},
		"no receipt, overdue":     {5 * time.Hour, []Run{unsaid(noon.Add(time.Hour), contract.ReceiptNotSetUp)}, metav1.ConditionFalse, v1alpha1.ReasonOverdue},
		"from before it was made": {time.Minute, []Run{success(noon.Add(-48 * time.Hour))}, metav1.ConditionTrue, v1alpha1.ReasonOnTime},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var status v1alpha1.RetentionStatus
			Record(&status, c.runs)
			h := Judge(noon.Add(c.now), noon, status, Last(c.runs))
			if h.Status != c.status || h.Reason != c.reason {
				t.Errorf("%s, %s (%s); want %s, %s", h.Status, h.Reason, h.Message, c.status, c.reason)
			}
			if h.Recheck <= 0 || h.Recheck > overdue {
				t.Errorf("it is looked at again in %s", h.Recheck)
			}
		})
	}
}

func TestVaultClock_NeitherHidesNorInventsMissedRuns(t *testing.T) {
	for _, off := range []time.Duration{-3 * time.Hour, 3 * time.Hour} {
		run := success(noon)
		run.Result.Time = noon.Add(off)
		var status v1alpha1.RetentionStatus
		Record(&status, []Run{run})
		for later, want := range map[time.Duration]metav1.ConditionStatus{time.Hour: metav1.ConditionTrue, 3 * time.Hour: metav1.ConditionFalse} {
			if h := Judge(noon.Add(later), noon.Add(-24*time.Hour), status, Last([]Run{run})); h.Status != want {
				t.Errorf("Vault's clock %s off, %s after the run: %s %s, want %s", off, later, h.Status, h.Reason, want)
			}
		}
	}
}

func TestStatus_OnlyGoesForward(t *testing.T) {
	var status v1alpha1.RetentionStatus
	oldest := noon.Add(-24 * time.Hour)
	newer := success(noon)
	newer.Result.OldestKeyTime = &oldest
	Record(&status, []Run{newer})
	Record(&status, []Run{success(noon.Add(-time.Hour)), failure(noon.Add(time.Hour), "VaultSealed")})
	if !status.LastSuccessTime.Time.Equal(noon) || !status.OldestKeyTime.Time.Equal(oldest) {
		t.Errorf("the status is %+v", status)
	}
}

func TestRunsAreReadFromEndedPodsOnly(t *testing.T) {
	message, err := json.Marshal(success(noon).Result)
	if err != nil {
		t.Fatal(err)
	}
	ended := func(message string) corev1.Pod {
		return corev1.Pod{Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
			State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Message: message, FinishedAt: metav1.NewTime(noon)}},
		}}}}
	}
	running := corev1.Pod{Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
		State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
	}}}}
	runs := Runs([]corev1.Pod{running, ended(string(message)), ended("out of memory"), {}})
	if len(runs) != 2 || !runs[0].succeeded() || runs[1].Result != nil {
		t.Errorf("the runs are %+v", runs)
	}
}

func FuzzParseNeverTrustsAMessage(f *testing.F) {
	f.Add(`{"version":1,"succeeded":true,"time":"2026-05-04T12:00:00Z"}`)
	f.Add(`{"version":2}`)
	f.Add(`{"version":1,"reason":"no reason"`)
	f.Add(strings.Repeat("[", 5000))
	f.Fuzz(func(t *testing.T, message string) {
		r := parse(message)
		if r == nil {
			return
		}
		if r.Version != contract.RetentionResultVersion || len(message) > maxMessage {
			t.Errorf("took a result of version %d from %d bytes", r.Version, len(message))
		}
		if reason, _ := (Run{Result: r}).Reason(); !reasonPattern.MatchString(reason) {
			t.Errorf("the reason %q is none", reason)
		}
	})
}
