package admission

import (
	"context"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

const databaseRelayYAML = `
apiVersion: relaykeep.dev/v1alpha1
kind: BusinessRelay
metadata: {name: initrode, namespace: default}
spec:
  phoneNumber: "+41441234599"
  dataRegion: sql
  storage: {postgres: {database: initrode}}
`

// testDatabase: a relay whose store is in a database is held to its region's server and to its own database.
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
	for _, name := range []string{"eu", "na"} { // as the operator notes it
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
}
