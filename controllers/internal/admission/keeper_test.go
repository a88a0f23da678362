package admission

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/desired"
)

// testKeepers holds a region's keeper of last resort to what the operator makes, and to
// the operator's own namespace.
func (h *house) testKeepers(t *testing.T) {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: h.in.OperatorNamespace}}
	if err := client.IgnoreAlreadyExists(server.Client.Create(t.Context(), namespace)); err != nil {
		t.Fatal(err)
	}
	in := desired.KeeperInput{Region: h.in.Region, RelayImage: relayImage, PullSecrets: []string{"registry"}, Namespace: h.in.OperatorNamespace}
	account := desired.KeeperAccount(in)
	for name, err := range map[string]error{
		"account": h.operator.Apply(t.Context(), account, client.FieldOwner(v1alpha1.FieldManager)),
		"policy":  h.operator.Apply(t.Context(), desired.KeeperPolicy(in), client.FieldOwner(v1alpha1.FieldManager), client.DryRunAll),
		"CronJob": h.operator.Apply(t.Context(), desired.KeeperCronJob(in), client.FieldOwner(v1alpha1.FieldManager), client.DryRunAll),
	} {
		if err != nil {
			t.Errorf("the keeper's %s: %v", name, err)
		}
	}
	const container = "spec/containers/0/"
	testRules(t, server.Client, h.keeperPod, []rule{
		{"another image", none, put(container+"image", "evil:latest"), "may not hold a token"},
		{"a former image", none, put(container+"image", "ghcr.io/relaykeep/relay:older"), "may not hold a token"},
		{"another command", none, item("spec/containers/0", "args", 0, "retain"), "a keeper keep"},
		{"another region's name", none, item("spec/containers/0", "args", 4, "na"), "a keeper keep"},
		{"another Vault", none, item("spec/containers/0", "args", 5, "--vault-address=https://evil.example"), "must log in at the Vault of its DataRegion"},
		{"another mount", none, item("spec/containers/0", "args", 9, "--vault-transit-mount=others"), "must log in at the Vault of its DataRegion"},
		{"another account", none, put("spec/serviceAccountName", "default"), "a keeper as relaykeep-keeper-"},
		{"an environment variable", none, put(container+"env", []any{fields{"name": "A", "value": "b"}}), "no environment variables"},
		{"another region's audience", none, put("spec/volumes/0/projected/sources/0/serviceAccountToken/audience", "relaykeep.dev/keeper/na"), "must project exactly one token"},
		{"a Secret", none, item("spec", "volumes", 1, fields{"name": "tmp", "secret": fields{"secretName": "s"}}), "a keeper scratch space"},
		{"a ConfigMap", none, item("spec", "volumes", 1, fields{"name": "tmp", "configMap": fields{"name": "relaykeep-keeper-eu"}}), "a keeper scratch space"},
	})
	t.Run("in a business's namespace", func(t *testing.T) {
		err := server.Client.Create(t.Context(), object(t, h.keeperPod, set("metadata/namespace", "default")), client.DryRunAll)
		wantRefusal(t, err, "must project exactly one token")
	})
	const only = "may write only what belongs to a BusinessRelay"
	testRules(t, h.operator, manifest(t, account), []rule{
		{"in a business's namespace", set("metadata/name", "relaykeep-keeper-na"), all(set("metadata/name", "relaykeep-keeper-na"), set("metadata/namespace", "default")), only},
		{"another name there", set("metadata/name", "relaykeep-keeper-na"), set("metadata/name", "relaykeep-manager-2"), only},
	})
	for kind, text := range map[string]string{
		"a ConfigMap": `{apiVersion: v1, kind: ConfigMap, metadata: {name: relaykeep-keeper-na, namespace: relaykeep-system,
			labels: {app.kubernetes.io/managed-by: relaykeep, app.kubernetes.io/name: relaykeep-keeper}}}`,
		"a Service": `{apiVersion: v1, kind: Service, metadata: {name: relaykeep-keeper-na, namespace: relaykeep-system,
			labels: {app.kubernetes.io/managed-by: relaykeep, app.kubernetes.io/name: relaykeep-keeper}}, spec: {ports: [{port: 443}]}}`,
	} {
		t.Run(kind+" of that name", func(t *testing.T) {
			wantRefusal(t, h.operator.Create(t.Context(), object(t, text, nil), client.DryRunAll), only)
		})
	}
	refusedToken(t)
}

// refusedToken holds that nobody but a node asks for a keeper's token.
func refusedToken(t *testing.T) {
	t.Helper()
	wantRefusal(t, requestToken(t, server.Config, "relaykeep.dev/keeper/eu"), "for pods only")
}

// item replaces an item of a list that the map at a path has.
func item(path, list string, i int, value any) func(map[string]any) {
	return at(path, func(m map[string]any) { m[list].([]any)[i] = value })
}
