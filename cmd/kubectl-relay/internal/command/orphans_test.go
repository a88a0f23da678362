package command

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// leftBehind makes objects that a gone relay left in the cluster.
func (k *kubernetes) leftBehind(t *testing.T, name, region string) {
	t.Helper()
	labels := map[string]string{
		v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelName: v1alpha1.NameRelay, v1alpha1.LabelInstance: name,
	}
	check(t, k.client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}))
	meta := metav1.ObjectMeta{Namespace: name, Name: v1alpha1.TenantName(name), Labels: labels}
	check(t, k.client.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: meta}))
	check(t, k.client.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: meta, Data: map[string]string{"relay.json": `{"region": "` + region + `"}`}}))
}

func TestOrphansListsWhatGoneRelaysLeftAndDeletesWhatIsNamed(t *testing.T) {
	k := startKubernetes(t)
	k.startTokenController(t)
	server := k.startVault(t)
	k.createAcme(t)
	noVaultInEnvironment(t)
	kubeconfig := "--kubeconfig=" + k.kubeconfig
	t.Setenv("VAULT_TOKEN", rootToken(t, server))
	_, _, err := run(t, "setup", "vault", "--region", "eu", kubeconfig)
	check(t, err)
	holdings(t, server)
	k.leftBehind(t, "globex", "eu")
	k.leftBehind(t, "hooli", "na")
	whole := held(t, server, "globex")
	list := []string{"orphans", "--region", "eu", kubeconfig}
	remove := slices.Concat(list, []string{"--delete", "globex/globex"})

	out, err := answering(t, "", list...)
	check(t, err)
	for want, is := range map[string]bool{
		"globex/globex": true, "ConfigMap, ServiceAccount": true, "secrets, settings key, wrapping key": true,
		"acme": false, "hooli": false,
	} {
		if strings.Contains(out, want) != is {
			t.Errorf("%q in the list: %v, want %v:\n%s", want, !is, is, out)
		}
	}

	refused := func(name, typed, want string, args ...string) {
		t.Helper()
		_, err := answering(t, typed, args...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", name, err, want)
		}
		if held(t, server, "globex") != whole || held(t, server, "acme") != whole {
			t.Fatalf("%s: something was erased", name)
		}
	}
	refused("another name typed", "globex\n", "the name was not repeated", remove...)
	refused("nothing typed", "", "the name was not repeated", remove...)
	refused("a relay that exists", "acme/acme\n", "no relay that is gone", append(list[:len(list):len(list)], "--delete", "acme/acme")...)
	refused("another region's", "hooli/hooli\n", "no relay that is gone", append(list[:len(list):len(list)], "--delete", "hooli/hooli")...)
	refused("who may not list relays", "globex/globex\n", "refused", "orphans", "--region", "eu", "--delete", "globex/globex", "--kubeconfig="+k.user(t, "stranger"))
	t.Setenv("VAULT_TOKEN", "nobody's")
	refused("who may not list keys", "globex/globex\n", "may list keys and secrets", remove...)
	t.Setenv("VAULT_TOKEN", rootToken(t, server))

	out, err = answering(t, "globex/globex\n", remove...)
	check(t, err)
	if held(t, server, "globex") != 0 || !strings.Contains(out, "2 objects") {
		t.Errorf("%d things are left; printed:\n%s", held(t, server, "globex"), out)
	}
	err = k.client.Get(t.Context(), client.ObjectKey{Namespace: "globex", Name: "globex-relay"}, &corev1.ServiceAccount{})
	if client.IgnoreNotFound(err) != nil || err == nil {
		t.Errorf("the account is left: %v", err)
	}
	if held(t, server, "acme") != whole {
		t.Error("another tenant lost something")
	}

	// A cluster without any relay: what the list says may be wrong.
	check(t, k.client.DeleteAllOf(t.Context(), &v1alpha1.BusinessRelay{}, client.InNamespace("acme")))
	_, err = answering(t, "acme/acme\n", append(list[:len(list):len(list)], "--delete", "acme/acme")...)
	if err == nil || !strings.Contains(err.Error(), "no BusinessRelay at all") || held(t, server, "acme") != whole {
		t.Errorf("with an empty list: %v", err)
	}
	out, err = answering(t, "", list...)
	if check(t, err); !strings.Contains(out, "acme/acme") {
		t.Errorf("the list is:\n%s", out)
	}
}
