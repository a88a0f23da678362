//go:build e2e

package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/test/lab"
)

// readers are two service accounts, of which one may read the operator's metrics.
const readers = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: e2e-prometheus, namespace: default}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: e2e-stranger, namespace: default}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: e2e-prometheus}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: relaykeep-metrics-reader}
subjects: [{kind: ServiceAccount, name: e2e-prometheus, namespace: default}]
`

// TestOperatorMetrics_AreForThoseWhoMayReadThem fetches them as a Prometheus does.
func TestOperatorMetrics_AreForThoseWhoMayReadThem(t *testing.T) {
	_, err := environment.Apply(within(t), readers)
	check(t, err)
	t.Cleanup(func() {
		_, err := environment.Kubectl(withoutTest(), "delete", "-n", "default", "clusterrolebinding/e2e-prometheus", "serviceaccount/e2e-prometheus", "serviceaccount/e2e-stranger")
		check(t, err)
	})
	pods := &corev1.PodList{}
	check(t, environment.Client().List(within(t), pods, client.InNamespace(lab.Namespace), client.MatchingLabels{v1alpha1.LabelComponent: v1alpha1.ComponentManager}))
	var operator *corev1.Pod
	for i := range pods.Items {
		if p := &pods.Items[i]; p.DeletionTimestamp == nil && p.Status.PodIP != "" {
			operator = p
		}
	}
	if operator == nil {
		t.Fatal("no operator runs")
	}
	url := "https://" + net.JoinHostPort(operator.Status.PodIP, "8080") + "/metrics"
	// The token is not on a command line. Only the operator's own pod passes its NetworkPolicy.
	fetch := func(from *corev1.Pod, account string) (string, error) {
		header := filepath.Join(t.TempDir(), "header")
		text := "X-Nothing: here\n"
		if account != "" {
			token, err := lab.Token(within(t), environment.Client(), "default", account, "")
			check(t, err)
			text = "Authorization: Bearer " + token + "\n"
		}
		check(t, os.WriteFile(header, []byte(text), 0o600))
		return environment.From(within(t), from, "curl", "-sS", "-k", "--max-time", "10", "-H", "@"+header, "-w", "\nstatus %{http_code}\n", url)
	}
	for account, want := range map[string]string{"": "status 401", "e2e-stranger": "status 403", "e2e-prometheus": "status 200"} {
		got, err := fetch(operator, account)
		check(t, err)
		shown := strings.Contains(got, `relaykeep_businessrelay_condition{condition="Ready",name="acme",namespace="acme",`)
		if !strings.Contains(got, want) || shown != (want == "status 200") {
			t.Errorf("%q is answered, want %s: %.300s", account, want, got)
		}
	}
	acme, err := environment.RelayPod(within(t), lab.Acme)
	check(t, err)
	if got, err := fetch(acme, "e2e-prometheus"); err == nil {
		t.Errorf("the NetworkPolicy lets a business's pod reach the operator: %.300s", got)
	}
}

// TestHelmTest_PassesWithAnOperator runs the pod of the chart's test in the operator's namespace, which is held to the restricted
// profile and whose NetworkPolicies let nobody else through.
func TestHelmTest_PassesWithAnOperator(t *testing.T) {
	check(t, environment.TestChart(within(t)))
}

// TestWatchNamespaces_OperatorWorksWithTheirRolesAlone makes a relay, and erases it, while the operator may write in some
// namespaces only.
func TestWatchNamespaces_OperatorWorksWithTheirRolesAlone(t *testing.T) {
	guest := *lab.Initrode
	guest.Number = guestNumber(t)
	t.Cleanup(func() { check(t, environment.Equip(withoutTest(), lab.EU, nil, nil)) })
	check(t, environment.Equip(within(t), lab.EU, &guest, func(*v1alpha1.DataRegionSpec) {}))
	_, err := environment.Apply(within(t), fmt.Sprintf(`{apiVersion: v1, kind: Namespace, metadata: {name: %q, labels: {pod-security.kubernetes.io/enforce: restricted}}}`, guest.Name))
	check(t, err)
	t.Cleanup(func() { check(t, environment.WatchOnly(withoutTest())) })
	check(t, environment.WatchOnly(within(t), lab.Acme.Name, lab.Globex.Name, guest.Name))
	t.Cleanup(func() { check(t, environment.Dismiss(withoutTest(), &guest)) })
	mayWrite := func(namespace string) bool {
		out, _ := environment.Kubectl(within(t), "auth", "can-i", "create", "statefulsets.apps", "-n", namespace, "--as", "system:serviceaccount:"+lab.Namespace+":relaykeep-manager") // a no is an error, too
		return strings.TrimSpace(out) == "yes"
	}
	if here, elsewhere := mayWrite(guest.Name), mayWrite("default"); !here || elsewhere {
		t.Errorf("the operator may write where it watches: %v; elsewhere: %v", here, elsewhere)
	}
	check(t, environment.Host(within(t), &guest))
}
