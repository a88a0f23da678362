package command

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/exit"
	"github.com/relaykeep/relaykeep/test/services/vault"
)

// goneCluster is the kubeconfig of a cluster at whose address nothing listens.
func goneCluster(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	address := listener.Addr().String()
	check(t, listener.Close())
	path := filepath.Join(t.TempDir(), "kubeconfig")
	check(t, os.WriteFile(path, []byte(`{"apiVersion": "v1", "kind": "Config", "current-context": "gone",
		"clusters": [{"name": "gone", "cluster": {"server": "https://`+address+`"}}], "users": [{"name": "gone", "user": {}}],
		"contexts": [{"name": "gone", "context": {"cluster": "gone", "user": "gone", "namespace": "globex"}}]}`), 0o600))
	return path
}

func TestEraseByAnAdminNeedsNoClusterThatIsGone(t *testing.T) {
	server := vault.StartT(t, vault.Options{})
	noVaultInEnvironment(t)
	t.Setenv("VAULT_TOKEN", rootToken(t, server))
	t.Setenv("KUBECONFIG", goneCluster(t))
	authority, token := authorityFile(t, server), filepath.Join(t.TempDir(), "token")
	check(t, os.WriteFile(token, []byte("no reviewer's"), 0o600))
	there := []string{"--vault-address", server.Address(), "--vault-ca", authority}
	_, _, err := run(t, slices.Concat([]string{
		"setup", "vault", "--region", "eu", "--kubeconfig", "/nowhere", "--reviewer-token-file", token,
		"--kubernetes-host", "https://127.0.0.1:1", "--kubernetes-ca", authority,
	}, there)...)
	check(t, err)
	holdings(t, server)
	whole := held(t, server, "acme")
	erase := func(typed string, args ...string) (string, error) {
		return answering(t, typed, append([]string{"erase", "acme"}, args...)...)
	}

	for name, c := range map[string]struct {
		typed, want string
		exit        int
		args        []string
	}{
		"an API server that does not answer":  {"acme\n", "use --without-cluster", exit.Failed, slices.Concat([]string{"-n", "acme", "--region", "eu"}, there)},
		"a kubeconfig that is gone":           {"acme\n", "use --without-cluster", exit.Failed, slices.Concat([]string{"-n", "acme", "--region", "eu", "--kubeconfig", "/nowhere"}, there)},
		"without a namespace":                 {"acme\n", "namespace with -n", exit.Usage, append(there[:4:4], "--without-cluster")},
		"without Vault's address":             {"acme\n", "--vault-address", exit.Usage, []string{"-n", "acme", "--without-cluster"}},
		"without its authority":               {"acme\n", "certificate", exit.Failed, []string{"-n", "acme", "--without-cluster", "--vault-address", server.Address()}},
		"without the name typed":              {"globex\n", "nothing was erased", exit.Failed, append(there[:4:4], "-n", "acme", "--without-cluster")},
		"a mistyped namespace":                {"acme\n", "neither keys nor secrets of relay acme in namespace acmee", exit.Failed, append(there[:4:4], "-n", "acmee", "--without-cluster")},
		"mounts that hold nothing":            {"acme\n", "mounts nowhere and pki", exit.Failed, append(there[:4:4], "-n", "acme", "--without-cluster", "--kv-mount", "pki", "--transit-mount", "nowhere")},
		"the namespace of the former context": {"acme\n", "namespace with -n", exit.Usage, append(there[:4:4], "--without-cluster", "--region", "eu")},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := erase(c.typed, c.args...)
			if err == nil || !strings.Contains(err.Error(), c.want) || exit.Code(err) != c.exit {
				t.Errorf("exit %d, error %v; want %d and %q", exit.Code(err), err, c.exit, c.want)
			}
			if held(t, server, "acme") != whole {
				t.Error("something was erased")
			}
		})
	}

	out, err := erase("acme\n", append(there[:4:4], "-n", "acme", "--without-cluster")...)
	check(t, err)
	if n := held(t, server, "acme"); n != 0 || !strings.Contains(out, "the keys and 4 secrets") {
		t.Errorf("%d things are left; printed:\n%s", n, out)
	}
	if held(t, server, "globex") != whole {
		t.Error("another tenant lost something")
	}

	// With the right mount of the keys alone, what was not found is told, and found later.
	globex := append([]string{"erase", "globex", "-n", "globex", "--without-cluster", "--yes"}, there...)
	_, errOut, err := run(t, append(globex[:len(globex):len(globex)], "--kv-mount", "pki")...)
	if check(t, err); !strings.Contains(errOut, "mount pki held no secrets") {
		t.Errorf("nothing is said of secrets that were not found:\n%s", errOut)
	}
	out, errOut, err = run(t, globex...)
	if check(t, err); !strings.Contains(out, "the keys and 4 secrets") || strings.Contains(errOut, "held no secrets") || held(t, server, "globex") != 0 {
		t.Errorf("printed:\n%s%s", out, errOut)
	}
}
