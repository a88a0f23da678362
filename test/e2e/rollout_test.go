//go:build e2e

package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/test/lab"
)

// taint keeps pods away from a node.
const taint = "relaykeep.dev/rollout-test"

// TestRollout_IsOneRelayAtATimeAndOutlivesADrain updates the image of two relays of a region whose node takes no pods: the
// first does not come up, so the other waits with the former image, which may start again when its pod was drained.
func TestRollout_IsOneRelayAtATimeAndOutlivesADrain(t *testing.T) {
	guest := *lab.Initrode
	guest.Number = guestNumber(t)
	t.Cleanup(func() { check(t, environment.Equip(withoutTest(), lab.EU, nil, nil)) })
	check(t, environment.Equip(within(t), lab.EU, &guest, func(s *v1alpha1.DataRegionSpec) { s.Rollout.MaxUnavailable = 1 }))
	t.Cleanup(func() { check(t, environment.Dismiss(withoutTest(), &guest)) })
	check(t, environment.Host(within(t), &guest))

	former := templateImage(t, lab.Acme)
	tag := func(image string) string { return image[strings.LastIndex(image, ":")+1:] }
	kubectl(t, "taint", "node", "eu-1", taint+"=true:NoSchedule")
	t.Cleanup(func() {
		_, _ = environment.Kubectl(withoutTest(), "taint", "node", "eu-1", taint+"-") // it may be gone
		check(t, environment.UpdateRelays(withoutTest(), tag(former)))
		for _, b := range []*lab.Business{lab.Acme, lab.Globex} {
			check(t, until(withoutTest(), func(ctx context.Context) (bool, error) { return runs(ctx, b, former) }))
		}
	})
	check(t, environment.UpdateRelays(within(t), tag(lab.TestClockRelay)))

	var updated, waits *lab.Business
	check(t, until(within(t), func(context.Context) (bool, error) {
		updated, waits = nil, nil
		for _, b := range []*lab.Business{lab.Acme, &guest} {
			if templateImage(t, b) == former {
				waits = b
			} else {
				updated = b
			}
		}
		return updated != nil && waits != nil && reconciling(t, waits) == v1alpha1.ReasonUpdateWaiting, nil
	}))
	was, err := environment.RelayPod(within(t), waits)
	check(t, err)
	kubectl(t, "delete", "pod", was.Name, "-n", was.Namespace) // as a drain does
	check(t, until(within(t), func(ctx context.Context) (bool, error) {
		pod := &corev1.Pod{}
		err := environment.Client().Get(ctx, client.ObjectKeyFromObject(was), pod)
		return err == nil && pod.UID != was.UID && pod.Spec.Containers[0].Image == former && pod.Status.Phase == corev1.PodPending, nil
	}))
	if got := templateImage(t, waits); got != former {
		t.Errorf("the relay that waits was updated to %s", got)
	}

	kubectl(t, "taint", "node", "eu-1", taint+"-")
	for _, b := range []*lab.Business{updated, waits} {
		check(t, until(within(t), func(ctx context.Context) (bool, error) { return runs(ctx, b, lab.TestClockRelay) }))
		_, err := environment.WaitCondition(within(t), b.Relay(), v1alpha1.ConditionReady, metav1.ConditionTrue)
		check(t, err)
	}
}

func until(ctx context.Context, so wait.ConditionWithContextFunc) error {
	return wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, patience, true, so)
}

func set(ctx context.Context, b *lab.Business) (*appsv1.StatefulSet, error) {
	s := &appsv1.StatefulSet{}
	return s, environment.Client().Get(ctx, client.ObjectKey{Namespace: b.Name, Name: v1alpha1.TenantName(b.Name)}, s)
}

// templateImage is the image that a business's relay is to run.
func templateImage(t *testing.T, b *lab.Business) string {
	t.Helper()
	s, err := set(within(t), b)
	check(t, err)
	return s.Spec.Template.Spec.Containers[0].Image
}

// runs says whether a relay is up with an image.
func runs(ctx context.Context, b *lab.Business, image string) (bool, error) {
	s, err := set(ctx, b)
	if err != nil {
		return false, err
	}
	return s.Spec.Template.Spec.Containers[0].Image == image && s.Status.ObservedGeneration == s.Generation &&
		s.Status.UpdatedReplicas == 1 && s.Status.ReadyReplicas == 1, nil
}

// reconciling is the reason why a relay is not as it should be.
func reconciling(t *testing.T, b *lab.Business) string {
	t.Helper()
	relay := &v1alpha1.BusinessRelay{}
	check(t, environment.Client().Get(within(t), client.ObjectKeyFromObject(b.Relay()), relay))
	if c := meta.FindStatusCondition(relay.Status.Conditions, v1alpha1.ConditionReconciling); c != nil {
		return c.Reason
	}
	return ""
}
