package command

import (
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/relay/vault"
	vaulttest "github.com/relaykeep/relaykeep/test/services/vault"
)

// databaseMove is the move of a relay with a database between two regions with a server each.
func databaseMove() *move {
	relay, from := acme()
	_, into := acme()
	into.Name = "na"
	relay.Spec.Storage.Postgres = &v1alpha1.PostgresStorage{Database: "acme"}
	meta.SetStatusCondition(&relay.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionKeysReady, Status: metav1.ConditionTrue, Reason: "Ready"})
	from.Spec.Postgres, into.Spec.Postgres = &v1alpha1.Postgres{Address: "postgres.eu.test:5432"}, &v1alpha1.Postgres{Address: "postgres.na.test:5432"}
	from.Spec.Moves.To, into.Spec.Moves.From = []v1alpha1.ObjectName{"na"}, []v1alpha1.ObjectName{v1alpha1.ObjectName(from.Name)}
	return &move{relay: relay, from: from, into: into, namespace: relay.Namespace, name: relay.Name}
}

func TestMove_OfADatabaseNeedsAnotherServer(t *testing.T) {
	for name, c := range map[string]struct {
		change func(m *move)
		want   string
	}{
		"two servers": {func(*move) {}, ""},
		"none there":  {func(m *move) { m.into.Spec.Postgres = nil }, "DataRegion na names none: its admin sets spec.postgres"},
		"the same":    {func(m *move) { m.into.Spec.Postgres = m.from.Spec.Postgres }, "give na one of its own"},
	} {
		m := databaseMove()
		c.change(m)
		err := m.checkObjects()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMove_OfADatabaseNeedsItsLoginInTheNewVault(t *testing.T) {
	server := vaulttest.StartT(t, vaulttest.Options{})
	root, err := server.Root()
	check(t, err)
	for path, engine := range map[string]*api.MountInput{"kv": {Type: "kv", Options: map[string]string{"version": "2"}}, "transit": {Type: "transit"}, "transit-settings": {Type: "transit"}} {
		check(t, root.Sys().MountWithContext(t.Context(), path, engine))
	}
	m := databaseMove()
	m.there, err = vault.ForAdmin(root, server.Contract(), m.namespace, v1alpha1.TenantName(m.name))
	check(t, err)
	if err := m.checkVault(t.Context()); err == nil || !strings.Contains(err.Error(), "make an empty database acme there") {
		t.Errorf("without a login: %v", err)
	}
	at := "kv/data/" + m.namespace + "/" + v1alpha1.TenantName(m.name)
	_, err = root.Logical().WriteWithContext(t.Context(), at+"/postgres", map[string]any{"data": map[string]any{"username": "acme", "password": "secret"}})
	check(t, err)
	check(t, m.checkVault(t.Context()))
	_, err = root.Logical().WriteWithContext(t.Context(), at+"/carrier", map[string]any{"data": map[string]any{"some": "thing"}})
	check(t, err)
	if err := m.checkVault(t.Context()); err == nil || !strings.Contains(err.Error(), "already has keys or secrets") {
		t.Errorf("with something else of the relay's: %v", err)
	}
}
