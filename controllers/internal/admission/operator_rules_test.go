package admission

import (
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// labelsOfChildren are on everything that the operator makes.
const labelsOfChildren = `{app.kubernetes.io/managed-by: relaykeep, app.kubernetes.io/name: relaykeep-relay}`

const (
	operatorsMap   = `{apiVersion: v1, kind: ConfigMap, metadata: {name: x-relay, namespace: default, labels: ` + labelsOfChildren + `}}`
	operatorsClaim = `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: x-relay-1, namespace: default, labels: ` + labelsOfChildren + `},
		spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}`
	operatorsService = `{apiVersion: v1, kind: Service, metadata: {name: x-relay, namespace: default, labels: ` + labelsOfChildren + `},
		spec: {selector: {a: b}, ports: [{port: 443}]}}`
	operatorsAccount = `{apiVersion: v1, kind: ServiceAccount, metadata: {name: x-relay, namespace: default, labels: ` + labelsOfChildren + `},
		automountServiceAccountToken: false}`
	operatorsNetwork = `{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: x-relay, namespace: default, labels: ` + labelsOfChildren + `},
		spec: {podSelector: {matchLabels: {app.kubernetes.io/name: relaykeep-relay}}}}`
)

// testElsewhere holds that the operator writes what belongs to relays and nothing
// else, though its role reaches every namespace.
func (h *house) testElsewhere(t *testing.T) {
	const only = "may write only what belongs to a BusinessRelay"
	for manifest, rules := range map[string][]rule{
		operatorsMap: {
			{"no label", none, put("metadata/labels", fields{}), only},
			{"another's label", none, put("metadata/labels", fields{"app.kubernetes.io/managed-by": "x", "app.kubernetes.io/name": "relaykeep-relay"}), only},
			{"another name", set("metadata/name", "y-relay"), set("metadata/name", "coredns"), only},
		},
		operatorsClaim: {
			{"a claim's name", set("metadata/name", "y-relay-12"), set("metadata/name", "y-relay-x"), only},
			{"a claim that counts from nothing", set("metadata/name", "y-relay"), set("metadata/name", "y-relay-0"), only},
			{"another claim", none, set("metadata/name", "data-0"), only},
		},
		operatorsService: {
			{"a name outside the cluster", none, all(set("spec/type", "ExternalName"), set("spec/externalName", "evil.example")), "inside the cluster"},
			{"somebody's address", none, set("spec/externalIPs", []any{"192.0.2.1"}), "inside the cluster"},
			{"a port of the nodes", none, set("spec/type", "NodePort"), "inside the cluster"},
		},
		operatorsAccount: {
			{"an account with a token", none, set("automountServiceAccountToken", true), "no token of its own"},
			{"an account with a Secret", none, set("secrets", []any{fields{"name": "s"}}), "no token of its own"},
		},
		operatorsNetwork: {{"every pod of a namespace", none, set("spec/podSelector", fields{}), "for relays and janitors only"}},
	} {
		testRules(t, h.operator, manifest, rules)
	}
	t.Run("what others made", h.testOthers)
}

// testOthers holds that the operator neither changes nor deletes what it did not make.
func (h *house) testOthers(t *testing.T) {
	theirs := object(t, operatorsMap, all(set("metadata/name", "theirs-relay"), put("metadata/labels", nil)))
	own := object(t, operatorsMap, set("metadata/name", "own-relay"))
	for _, o := range []client.Object{theirs, own} {
		if err := server.Client.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		deleteAtEnd(t, o)
	}
	adopt := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"app.kubernetes.io/managed-by":"relaykeep","app.kubernetes.io/name":"relaykeep-relay"}},"data":{"a":"b"}}`))
	const only = "may change and delete only what it made"
	wantRefusal(t, h.operator.Patch(t.Context(), object(t, manifest(t, theirs.Object), nil), adopt, client.DryRunAll), only)
	wantRefusal(t, h.operator.Delete(t.Context(), theirs, client.DryRunAll), only)
	if err := h.operator.Patch(t.Context(), object(t, manifest(t, own.Object), nil), adopt, client.DryRunAll); err != nil {
		t.Errorf("changing what it made: %v", err)
	}
	if err := h.operator.Delete(t.Context(), own, client.DryRunAll); err != nil {
		t.Errorf("deleting what it made: %v", err)
	}
}

// testOwnKinds holds that the operator cannot change what people asked for: what it
// must not write into a relay's configuration, it must not write into its source.
func (h *house) testOwnKinds(t *testing.T) {
	patch := func(c client.Client, o client.Object, text string) error {
		copied, _ := o.DeepCopyObject().(client.Object)
		return c.Patch(t.Context(), copied, client.RawPatch("application/merge-patch+json", []byte(text)), client.DryRunAll)
	}
	const says = "must not change what they ask for"
	for name, c := range map[string]struct {
		object client.Object
		text   string
	}{
		"a business's webhook":    {h.in.Relay, `{"spec":{"webhook":{"url":"https://evil.example/"}}}`},
		"a business's retention":  {h.in.Relay, `{"spec":{"retention":{"days":7}}}`},
		"a region's Vault":        {h.in.Region, `{"spec":{"vault":{"address":"https://evil.example:8200"}}}`},
		"a region's storageClass": {h.in.Region, `{"spec":{"storageClassName":"nowhere"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			wantRefusal(t, patch(h.operator, c.object, c.text), says)
			if err := patch(server.Client, c.object, c.text); err != nil {
				t.Errorf("its owner is refused: %v", err)
			}
			if err := patch(h.operator, c.object, `{"metadata":{"finalizers":["`+v1alpha1.Finalizer+`"]}}`); err != nil {
				t.Errorf("the operator's own note is refused: %v", err)
			}
		})
	}
	wantRefusal(t, h.operator.Delete(t.Context(), h.in.Relay, client.DryRunAll), says)
}
