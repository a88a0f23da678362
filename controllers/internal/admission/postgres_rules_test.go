package admission

import (
	"context"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/desired"
)

const databaseRelayYAML = `
apiVersion: relaykeep.dev/v1alpha1
kind: BusinessRelay
metadata: {name: initrode, namespace: default}
spec:
  phoneNumber: "+41441234599"
  dataRegion: sql
  replicas: 3
  storage: {postgres: {database: initrode}}
`

// testDatabase: a relay whose store is in a database is held to its region's server and to its own database, and each of
// its replicas is.
func (h *house) testDatabase(t *testing.T) {
	there := *h
	h = &there
	region := &v1alpha1.DataRegion{ObjectMeta: metav1.ObjectMeta{Name: "sql"}, Spec: *h.in.Region.Spec.DeepCopy()}
	region.Spec.Postgres = &v1alpha1.Postgres{
		Address: "postgres.eu.example.org:5432", CABundle: "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
	}
	relay := object(t, databaseRelayYAML, nil)
	for _, o := range []client.Object{region, relay} {
		if err := server.Client.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		deleteAtEnd(t, o)
	}
	for _, name := range []string{"eu", "eu2", "na", "unseen"} { // as the operator, which ran meanwhile, notes it
		r := &v1alpha1.DataRegion{}
		if err := server.Client.Get(t.Context(), client.ObjectKey{Name: name}, r); err != nil {
			t.Fatal(err)
		}
		r.Status.Regions = append(r.Status.Regions, "sql")
		if err := server.Client.Status().Update(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	h.in.Relay, h.in.Region = &v1alpha1.BusinessRelay{}, region
	if err := server.Client.Get(t.Context(), client.ObjectKeyFromObject(relay), h.in.Relay); err != nil {
		t.Fatal(err)
	}
	h.render(t)
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, 20*time.Second, true, func(ctx context.Context) (bool, error) {
		for _, manifest := range []string{h.relayPod, h.configuration} { // once the policies know the new objects
			if err := server.Client.Create(ctx, object(t, manifest, none), client.DryRunAll); err != nil {
				if ctx.Err() == nil {
					last = err
				}
				return false, nil
			}
		}
		err := h.operator.Create(ctx, object(t, h.statefulSet, none), client.DryRunAll)
		if ctx.Err() == nil {
			last = err
		}
		return err == nil, nil
	})
	if err != nil {
		t.Fatalf("what the operator renders is refused: %v", last)
	}
	const servers, databases = "must use the PostgreSQL of its DataRegion", "in the database of its BusinessRelay"
	for _, r := range []rule{
		{"another server", none, argument("spec", 15, "--postgres-address=evil.example:5432"), servers},
		{"another authority", none, argument("spec", 16, "--postgres-ca="), servers},
		{"a second server", none, add("spec/containers/0/args", "--postgres-address=evil.example:5432"), servers},
		{"a server before the region", none, argument("spec", 4, "--postgres-address=evil.example:5432"), "ValidatingAdmissionPolicy"},
	} {
		t.Run(r.name, func(t *testing.T) { r.testCreate(t, h.relayPod) })
	}
	for _, r := range []rule{
		{"another's database", none, rewrite(`"database": "initrode"`, `"database": "acme"`), databases},
		{"no database", none, rewrite(`"postgres"`, `"Postgres"`), databases},
	} {
		t.Run(r.name, func(t *testing.T) { r.testCreate(t, h.configuration) })
	}
	t.Run("replicas", h.testReplicas)
}

// testReplicas: the policies let the operator run several pods of a relay, apart from each other, and hold each to what
// they hold the first to.
func (h *house) testReplicas(t *testing.T) {
	h.tryAll(t, h.in)
	const template = "spec/template/spec"
	spread, _, err := unstructured.NestedSlice(object(t, h.statefulSet, nil).Object, "spec", "template", "spec", "topologySpreadConstraints")
	if err != nil || len(spread) == 0 {
		t.Fatalf("the replicas are not kept apart: %v", err)
	}
	testRules(t, h.operator, h.statefulSet, []rule{
		{"another image in all replicas", none, image(template, "evil"), "may not hold a token"},
		{"a sidecar in all replicas", none, add(template+"/containers", fields{"name": "x", "image": relayImage}), "alone in its pod"},
		{"a claim for each replica", none, set("spec/volumeClaimTemplates", []any{fields{
			"metadata": fields{"name": "data"},
			"spec":     fields{"accessModes": []any{"ReadWriteOnce"}, "resources": fields{"requests": fields{"storage": "1Gi"}}},
		}}), "remove volumeClaimTemplates"},
	})
	second := set("metadata/name", "initrode-relay-1")
	testRules(t, server.Client, h.relayPod, []rule{
		{"a second replica with another image", second, all(second, image("spec", "evil")), "may not hold a token"},
		{"a second replica with another server", second, all(second, argument("spec", 15, "--postgres-address=evil.example:5432")), "must use the PostgreSQL of its DataRegion"},
		{"a second replica of another's name", second, set("metadata/name", "acme-relay-1"), "must be named after its relay"},
		{"a second replica outside the region", second, all(second, set("spec/nodeSelector", fields{"disk": "encrypted"})), "must select that region's nodes"}, // one policy alone refuses it: of two, either answers
		{"a second replica at a place of somebody's choice", second, all(second, set("spec/nodeName", "na-1")), "must be placed by the scheduler"},
	})
	policy, budget := manifest(t, desired.RelayPolicy(h.in)), manifest(t, desired.DisruptionBudget(h.in))
	testRules(t, h.operator, policy, []rule{
		{"every pod of the namespace among the replicas", none, set("spec/podSelector", fields{}), "for relays and janitors only"},
	})
	testRules(t, h.operator, budget, []rule{
		{"a budget that is not the relay's", none, set("metadata/name", "coredns"), "may write only what belongs to a BusinessRelay"},
		{"a budget without the relay's labels", none, put("metadata/labels", nil), "may write only what belongs to a BusinessRelay"},
	})
}
