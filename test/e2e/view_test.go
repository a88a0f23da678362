//go:build e2e

package e2e

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/test/customers"
	"github.com/relaykeep/relaykeep/test/lab"
)

func key(o client.Object) types.NamespacedName { return client.ObjectKeyFromObject(o) }

func TestRelayList_ShowsHowEachIs(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(kubectl(t, "get", "brelay", "-A")), "\n")
	if got, want := strings.Join(strings.Fields(lines[0]), " "), "NAMESPACE NAME READY REASON REGION NUMBER AGE"; got != want {
		t.Errorf("the columns are %s, want %s", got, want)
	}
	for _, b := range []*lab.Business{lab.Acme, lab.Globex} {
		found := false
		for _, line := range lines[1:] {
			fields := strings.Fields(line)
			found = found || len(fields) == 7 && strings.Join(fields[:6], " ") == strings.Join([]string{b.Name, b.Name, "True", "Ready", b.Region.Name, b.Number}, " ")
		}
		if !found {
			t.Errorf("%s is not Ready in:\n%s", b.Name, strings.Join(lines, "\n"))
		}
	}
}

// TestRelays_StayInTheirRegion looks at where pods and volumes really are.
func TestRelays_StayInTheirRegion(t *testing.T) {
	for _, b := range []*lab.Business{lab.Acme, lab.Globex} {
		pod, err := environment.RelayPod(within(t), b)
		check(t, err)
		var node corev1.Node
		check(t, environment.Client().Get(within(t), types.NamespacedName{Name: pod.Spec.NodeName}, &node))
		if got := node.Labels[v1alpha1.LabelNodeRegion]; got != b.Region.Name {
			t.Errorf("%s runs in region %q, want %q", b.Name, got, b.Region.Name)
		}
		var claim corev1.PersistentVolumeClaim
		check(t, environment.Client().Get(within(t), types.NamespacedName{Namespace: b.Name, Name: b.Tenant()}, &claim))
		if got := *claim.Spec.StorageClassName; got != b.Region.StorageClass {
			t.Errorf("the claim of %s has class %q, want %q", b.Name, got, b.Region.StorageClass)
		}
	}
}

// TestSecondPass_WritesNothing lets the operator see every object again.
func TestSecondPass_WritesNothing(t *testing.T) {
	before := versions(t)
	if !strings.Contains(before, "StatefulSet/acme-relay") {
		t.Fatalf("the children of acme are\n%s", before)
	}
	kubectl(t, "rollout", "restart", "deployment", "-n", lab.Namespace)
	kubectl(t, "rollout", "status", "deployment", "-n", lab.Namespace, "--timeout=90s")
	kubectl(t, "annotate", "brelay", lab.Acme.Name, "-n", lab.Acme.Name, "--overwrite", "e2e.relaykeep.dev/seen=again")
	kubectl(t, "annotate", "brelay", lab.Acme.Name, "-n", lab.Acme.Name, "e2e.relaykeep.dev/seen-")
	_, err := environment.WaitCondition(within(t), lab.Acme.Relay(), v1alpha1.ConditionReady, "True")
	check(t, err)
	if after := versions(t); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// versions are what the operator wrote of acme's objects, and when.
func versions(t *testing.T) string {
	t.Helper()
	return kubectl(t, "get", "serviceaccounts,configmaps,services,persistentvolumeclaims,statefulsets,networkpolicies,cronjobs",
		"-n", lab.Acme.Name, "-o", `jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.generation} {.metadata.managedFields[?(@.manager=="relaykeep")].time}{"\n"}{end}`)
}

// TestAPIServer_RestartTouchesNoRelay: relays work without it, and the operator, when it is back, has nothing to do.
func TestAPIServer_RestartTouchesNoRelay(t *testing.T) {
	_, err := environment.WaitCondition(within(t), lab.Acme.Relay(), v1alpha1.ConditionReady, metav1.ConditionTrue)
	check(t, err)
	written, acme, globex := versions(t), relayInstance(t, lab.Acme), relayInstance(t, lab.Globex)
	text := "Written while the API server is away, " + rand.Text()[:6]
	customer := customers.Start(t, carrierOf{lab.EU}, personNumber(t))
	away := environment.APIServerAway()
	t.Cleanup(func() { check(t, away.Restore(withoutTest())) })
	check(t, away.Begin(within(t)))
	customer.Says(&replicated{Business: lab.Acme, t: t}, text)
	arrives(t, text)
	check(t, away.Restore(within(t)))
	for _, b := range []*lab.Business{lab.Acme, lab.Globex} {
		_, err := environment.WaitCondition(within(t), b.Relay(), v1alpha1.ConditionReady, metav1.ConditionTrue)
		check(t, err)
	}
	if acme != relayInstance(t, lab.Acme) || globex != relayInstance(t, lab.Globex) {
		t.Error("a relay was restarted")
	}
	if after := versions(t); after != written {
		t.Errorf("before:\n%s\nafter:\n%s", written, after)
	}
	// Until it knows the kinds that admission policies refer to, an API server that has just started refuses what they are for.
	check(t, lab.Poll(within(t), func(ctx context.Context) error {
		relay := lab.Acme.Relay()
		if err := environment.Client().Get(ctx, client.ObjectKeyFromObject(relay), relay); err != nil {
			return err
		}
		return environment.Client().Update(ctx, relay, client.DryRunAll)
	}))
}
