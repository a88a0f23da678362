package command

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestRunningPod_IsOneThatIsReadyOrSaysWhyThereIsNone(t *testing.T) {
	pod := func(name string, phase corev1.PodPhase, ready corev1.ConditionStatus) client.Object {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: name},
			Status:     corev1.PodStatus{Phase: phase, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}},
		}
	}
	going := pod("acme-relay-0", corev1.PodRunning, corev1.ConditionTrue)
	going.SetDeletionTimestamp(new(metav1.NewTime(now())))
	going.SetFinalizers([]string{"test/hold"})
	for name, tt := range map[string]struct {
		replicas int32
		suspend  bool
		pods     []client.Object
		want     string
		err      string
	}{
		"ready":             {1, false, []client.Object{pod("acme-relay-0", corev1.PodRunning, corev1.ConditionTrue)}, "acme-relay-0", ""},
		"the one of two":    {2, false, []client.Object{pod("acme-relay-0", corev1.PodRunning, corev1.ConditionFalse), pod("acme-relay-1", corev1.PodRunning, corev1.ConditionTrue)}, "acme-relay-1", ""},
		"not ready":         {2, false, []client.Object{pod("acme-relay-1", corev1.PodRunning, corev1.ConditionFalse)}, "acme-relay-1", ""},
		"an older relay's":  {0, false, []client.Object{pod("acme-relay-0", corev1.PodRunning, corev1.ConditionTrue)}, "acme-relay-0", ""},
		"pending":           {1, false, []client.Object{pod("acme-relay-0", corev1.PodPending, "")}, "", "no pod of relay acme runs (acme-relay-0 is Pending): see kubectl relay check relay/acme -n acme"},
		"going, none after": {2, false, []client.Object{going}, "", "(acme-relay-0 is being deleted, acme-relay-1 is not there)"},
		"suspended":         {1, true, []client.Object{pod("acme-relay-0", corev1.PodRunning, corev1.ConditionTrue)}, "", "stopped by spec.suspend"},
	} {
		t.Run(name, func(t *testing.T) {
			relay, _ := acme()
			relay.Spec.Replicas, relay.Spec.Suspend = tt.replicas, tt.suspend
			got, err := runningPod(t.Context(), inMemory(t, tt.pods...), relay)
			if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("it is %q: %v", got, err)
			}
		})
	}
}
