package apply

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/testenv"
)

// To compare a child with what is wanted is most of a pass's work, and most passes find what the one before found.
func TestApplier_ComparesAChildOnceInEachVersion(t *testing.T) {
	server, err := testenv.InMemory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a := Applier{
		Client: server.Client, Live: server.Client, Owner: types.NamespacedName{Namespace: "tenants", Name: "acme"}, Memory: &Memory{},
		Told: func(d Drift) { t.Logf("told: %s", d) }, Now: time.Now,
	}
	compared := 0
	child := func(value string) Child {
		want := corev1ac.ConfigMap("acme-relay", "tenants").WithData(map[string]string{"key": value}).WithLabels(map[string]string{
			v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelInstance: "acme",
		})
		c := Typed(want, corev1ac.ExtractConfigMap)
		differs := c.differs
		c.differs = func(live client.Object) (bool, error) { compared++; return differs(live) }
		return c
	}
	relay := &v1alpha1.BusinessRelay{}
	relay.Namespace, relay.Name = "tenants", "acme"
	pass := func(value string) (times int) {
		t.Helper()
		before := compared
		if _, err := a.Apply(t.Context(), relay, child(value)); err != nil {
			t.Fatal(err)
		}
		return compared - before
	}
	pass("one") // makes it
	if n := pass("one"); n == 0 {
		t.Error("what was made is not looked at")
	}
	if n := pass("one"); n != 0 {
		t.Errorf("a child that nobody touched is compared again, %d times", n)
	}
	if n := pass("two"); n == 0 {
		t.Error("a child that is wanted otherwise is not compared")
	}
	pass("two")
	live := &corev1.ConfigMap{}
	key := client.ObjectKey{Namespace: "tenants", Name: "acme-relay"}
	if err := server.Client.Get(t.Context(), key, live); err != nil {
		t.Fatal(err)
	}
	live.Data["key"] = "three"
	if err := server.Client.Update(t.Context(), live, client.FieldOwner("somebody")); err != nil {
		t.Fatal(err)
	}
	if n := pass("two"); n == 0 {
		t.Error("a child that somebody changed is not compared")
	}
	if err := server.Client.Get(t.Context(), key, live); err != nil || live.Data["key"] != "two" {
		t.Errorf("what somebody changed is %q, %v", live.Data["key"], err)
	}
}
