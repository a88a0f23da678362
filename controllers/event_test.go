package controllers_test

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// told returns the events since it was last called: type and reason.
func (w *world) told() string {
	var all []string
	for {
		select {
		case e := <-w.events.Events:
			all = append(all, strings.Join(strings.Fields(e)[:2], " "))
		default:
			return strings.Join(all, ", ")
		}
	}
}

func (w *world) wantTold(want string) {
	w.t.Helper()
	if got := w.told(); got != want {
		w.t.Errorf("the events are %q, want %q", got, want)
	}
}

func TestEventsWarnOfTroubleAndOfNothingElse(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	w.wantTold("Normal RelayStarting")

	pod := w.startPod(relay)
	w.status.set(w.healthy())
	w.eventually(relay, "ready", isReason(v1alpha1.ReasonReady))
	if got := w.told(); !strings.HasSuffix(got, "Normal Ready") || strings.Contains(got, "Warning") {
		t.Errorf("the events of a relay that starts are %q", got)
	}

	sealed := w.healthy()
	sealed.Conditions[0] = contract.Condition{
		Type: contract.ConditionKeysReady, Status: contract.False, Reason: "VaultSealed", Message: "unseal Vault",
	}
	w.status.set(sealed)
	w.eventually(relay, "sealed", isReason("VaultSealed"))
	w.wantTold("Warning VaultSealed")
	w.status.set(nil)
	w.eventually(relay, "unreachable", isReason(v1alpha1.ReasonRelayUnreachable))
	w.status.set(w.healthy())
	w.eventually(relay, "ready again", isReason(v1alpha1.ReasonReady))
	w.told()
	w.status.set(nil)
	w.eventually(relay, "unreachable", isReason(v1alpha1.ReasonRelayUnreachable))
	w.wantTold("Warning RelayUnreachable")

	w.update(relay, func(r *v1alpha1.BusinessRelay) { r.Spec.Suspend = true })
	w.pass(relay)
	w.wantTold("Normal Progressing")
	if err := server.Client.Delete(t.Context(), pod, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	w.pass(relay)
	w.wantTold("Normal Suspended")
}

func TestPod_WaitingIsShownWithWhereToLook(t *testing.T) {
	w := newWorld(t)
	relay := w.relay("acme")
	w.create(relay)
	w.pass(relay)
	pod := w.startPod(relay)
	waits := func(reason string) {
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "relay", State: corev1.ContainerState{
			Waiting: &corev1.ContainerStateWaiting{Reason: reason},
		}}}
		if err := server.Client.Status().Update(t.Context(), pod); err != nil {
			t.Fatal(err)
		}
	}
	waits("ImagePullBackOff")
	set := &appsv1.StatefulSet{}
	w.get(v1alpha1.TenantName(relay.Name), set)
	set.Status.ReadyReplicas = 0
	if err := server.Client.Status().Update(t.Context(), set); err != nil {
		t.Fatal(err)
	}
	w.pass(relay)
	c := w.want(relay, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonRelayStarting)
	for _, want := range []string{"0 of 1 pods are up to date and ready", "ImagePullBackOff", "kubectl describe pod acme-relay-0 -n " + w.name} {
		if !strings.Contains(c.Message, want) {
			t.Errorf("%q does not say %q", c.Message, want)
		}
	}

	waits("ContainerCreating") // which every container is at first
	w.now = pod.CreationTimestamp.Add(10 * time.Second)
	again := w.pass(relay).RequeueAfter
	if c := w.want(relay, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonRelayStarting); strings.Contains(c.Message, "ContainerCreating") || again <= 0 || again > time.Minute {
		t.Errorf("of a container that was begun ten seconds ago it says %q, and looks again after %s", c.Message, again)
	}
	w.now = w.now.Add(again)
	w.pass(relay)
	if c := w.want(relay, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonRelayStarting); !strings.Contains(c.Message, "ContainerCreating") {
		t.Errorf("of a container that is not made in time it says %q", c.Message)
	}
}
