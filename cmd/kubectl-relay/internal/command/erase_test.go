package command

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/exit"
	"github.com/relaykeep/relaykeep/test/services/vault"
)

// answering runs a command line with something typed.
func answering(t *testing.T, typed string, args ...string) (stdout string, err error) {
	t.Helper()
	var out, errOut bytes.Buffer
	root := New(genericiooptions.IOStreams{In: strings.NewReader(typed), Out: &out, ErrOut: &errOut}, "v1.2.3")
	root.SetArgs(args)
	err = root.ExecuteContext(t.Context())
	return out.String(), err
}

// holdings writes to Vault what relays of two tenants keep there.
func holdings(t *testing.T, server *vault.Server) {
	t.Helper()
	root, err := server.Root()
	check(t, err)
	for _, tenant := range []string{"acme", "globex"} {
		for _, name := range []string{"identity/1", "identity/2", "access/3", "carrier"} {
			_, err := root.KVv2("kv").Put(t.Context(), tenant+"/"+tenant+"-relay/"+name, map[string]any{"some": "thing"})
			check(t, err)
		}
		for _, key := range keysOf(tenant) {
			_, err := root.Logical().WriteWithContext(t.Context(), key, nil)
			check(t, err)
		}
	}
}

// keysOf are the paths of a tenant's wrapping key and of its settings key, in its place
// and in the one that it had.
func keysOf(tenant string) []string {
	name := tenant + "." + tenant + "-relay"
	return []string{"transit/keys/" + name, "transit-settings/keys/" + name, "transit/keys/" + name + "-settings"}
}

// held counts what Vault keeps of a tenant.
func held(t *testing.T, server *vault.Server, tenant string) (n int) {
	t.Helper()
	root, err := server.Root()
	check(t, err)
	for _, path := range []string{"kv/metadata/" + tenant + "/" + tenant + "-relay", "kv/metadata/" + tenant + "/" + tenant + "-relay/identity"} {
		list, err := root.Logical().ListWithContext(t.Context(), path)
		check(t, err)
		if list != nil {
			keys, _ := list.Data["keys"].([]any)
			n += len(keys)
		}
	}
	for _, key := range keysOf(tenant) {
		key, err := root.Logical().ReadWithContext(t.Context(), key)
		check(t, err)
		if key != nil {
			n++
		}
	}
	return n
}

func TestEraseByAnAdminIsTheWayOut(t *testing.T) {
	k := startKubernetes(t)
	server := k.startVault(t)
	k.createAcme(t)
	noVaultInEnvironment(t)
	kubeconfig := "--kubeconfig=" + k.kubeconfig
	t.Setenv("VAULT_TOKEN", rootToken(t, server))
	_, _, err := run(t, "setup", "vault", "--region", "eu", kubeconfig)
	check(t, err)
	holdings(t, server)
	whole := held(t, server, "acme")
	args := []string{"erase", "acme", "-n", "acme", kubeconfig}

	refused := func(name, typed, want string, more ...string) {
		t.Run(name, func(t *testing.T) {
			_, err := answering(t, typed, append(args[:len(args):len(args)], more...)...)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want %q", err, want)
			}
			if held(t, server, "acme") != whole {
				t.Error("something was erased")
			}
		})
	}
	refused("a relay that may run", "acme\n", "the relay may be running")
	refused("without the name typed", "globex\n", "nothing was erased", "--force")
	refused("without anything typed", "", "nothing was erased", "--force")
	t.Setenv("VAULT_TOKEN", "nobody's")
	refused("without the right", "acme\n", "use a token that may list and delete", "--force")
	t.Setenv("VAULT_TOKEN", "")
	refused("without a token", "acme\n", "VAULT_TOKEN", "--force")
	t.Setenv("VAULT_TOKEN", rootToken(t, server))

	// As the operator holds it: deleted, and waiting for its keys to be gone.
	var relay v1alpha1.BusinessRelay
	check(t, k.client.Get(t.Context(), client.ObjectKey{Namespace: "acme", Name: "acme"}, &relay))
	relay.Finalizers = []string{v1alpha1.Finalizer}
	check(t, k.client.Update(t.Context(), &relay))
	check(t, k.client.Delete(t.Context(), &relay))
	out, err := answering(t, "acme\n", args...)
	check(t, err)
	if held(t, server, "acme") != 0 || !strings.Contains(out, "the keys and 4 secrets") {
		t.Errorf("%d things are left; printed:\n%s", held(t, server, "acme"), out)
	}
	if held(t, server, "globex") != whole {
		t.Error("another tenant lost something")
	}
	check(t, k.client.Get(t.Context(), client.ObjectKey{Namespace: "acme", Name: "acme"}, &relay))
	if relay.Annotations[v1alpha1.AnnotationErased] != v1alpha1.AnnotationErasedYes {
		t.Error("the object does not know")
	}

	t.Run("without an object", func(t *testing.T) {
		check(t, k.client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "globex"}}))
		_, err := answering(t, "", "erase", "globex", "-n", "globex", kubeconfig, "--yes")
		if err == nil || !strings.Contains(err.Error(), "--region") {
			t.Errorf("error %v", err)
		}
		_, err = answering(t, "", "erase", "globex", "-n", "globexe", kubeconfig, "--yes", "--region", "eu")
		if err == nil || !strings.Contains(err.Error(), "nothing was erased: this Vault holds neither keys nor secrets of relay globex in namespace globexe") {
			t.Errorf("a mistyped namespace: error %v", err)
		}
		if held(t, server, "globex") != whole {
			t.Error("a mistyped namespace erased something")
		}
		_, err = answering(t, "", "erase", "globex", "-n", "globex", kubeconfig, "--yes", "--region", "gone")
		if err == nil || !strings.Contains(err.Error(), "--vault-address") {
			t.Errorf("a region that is gone, without Vault's address: error %v", err)
		}
		_, err = answering(t, "", "erase", "globex", "-n", "globex", kubeconfig, "--yes", "--region", "gone",
			"--vault-address", server.Address(), "--vault-ca", authorityFile(t, server))
		check(t, err)
		_, err = answering(t, "", "erase", "globex", "-n", "globex", kubeconfig, "--yes", "--region", "eu")
		if exit.Code(err) != exit.Failed || !strings.Contains(err.Error(), "nothing was erased") {
			t.Errorf("the second time: error %v", err)
		}
		if n := held(t, server, "globex"); n != 0 {
			t.Errorf("%d things are left", n)
		}
	})
}

// authorityFile writes a Vault's authority to a file.
func authorityFile(t *testing.T, server *vault.Server) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	check(t, os.WriteFile(path, server.CAPEM, 0o600))
	return path
}

func TestRotateRaisesOneCounterByOne(t *testing.T) {
	k := startKubernetes(t)
	_, region := acme()
	region.Spec.StorageClassName = "standard"
	check(t, k.client.Create(t.Context(), region))
	k.createAcme(t)
	kubeconfig := "--kubeconfig=" + k.kubeconfig
	for _, what := range []string{"access", "identity"} {
		out, _, err := run(t, "rotate", "acme", what, "-n", "acme", kubeconfig)
		check(t, err)
		if show := map[string]string{"access": "kubectl relay credentials acme", "identity": "kubectl relay invite acme"}[what]; !strings.Contains(out, show) {
			t.Errorf("it does not say what shows what is in force until then:\n%s", out)
		}
	}
	var relay v1alpha1.BusinessRelay
	check(t, k.client.Get(t.Context(), client.ObjectKey{Namespace: "acme", Name: "acme"}, &relay))
	if relay.Spec.Rotation != (v1alpha1.Rotation{Identity: 2, Access: 2}) {
		t.Errorf("the counters are %+v", relay.Spec.Rotation)
	}
	if _, _, err := run(t, "rotate", "acme", "everything", "-n", "acme", kubeconfig); exit.Code(err) != exit.Usage {
		t.Errorf("exit %d, error %v", exit.Code(err), err)
	}
	if _, _, err := run(t, "rotate", "acme", "access", "-n", "acme", "--kubeconfig="+k.user(t, "stranger")); exit.Code(err) != exit.Refused {
		t.Errorf("exit %d, error %v", exit.Code(err), err)
	}
}
