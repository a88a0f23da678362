package command

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/test/repository"
	"github.com/relaykeep/relaykeep/test/services/apiserver"
	"github.com/relaykeep/relaykeep/test/services/vault"
)

// kubernetes is a real API server, with the real controller that fills in service
// account tokens.
type kubernetes struct {
	client     client.Client
	kubeconfig string // of a cluster admin
	server     *apiserver.Server
}

// startKubernetes runs an API server with our kinds until the test ends.
func startKubernetes(t *testing.T) *kubernetes {
	t.Helper()
	server := apiserver.StartT(t, apiserver.Options{CRDs: []string{"config/crd/bases"}})
	scheme := runtime.NewScheme()
	check(t, clientgoscheme.AddToScheme(scheme))
	check(t, v1alpha1.AddToScheme(scheme))
	k, err := client.New(server.Config, client.Options{Scheme: scheme})
	check(t, err)
	path := filepath.Join(t.TempDir(), "kubeconfig")
	check(t, os.WriteFile(path, server.Kubeconfig(), 0o600))
	return &kubernetes{client: k, kubeconfig: path, server: server}
}

// startTokenController runs Kubernetes' controller manager, for the one controller
// that fills in the tokens of service accounts.
func (k *kubernetes) startTokenController(t *testing.T) {
	t.Helper()
	programs, err := repository.Program(t.Context(), "kubernetes")
	check(t, err)
	manager := filepath.Join(filepath.Dir(programs), "kube-controller-manager")
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), manager,
		"--controllers=serviceaccount-token-controller", "--leader-elect=false", "--secure-port=0",
		"--kubeconfig="+k.kubeconfig,
		"--service-account-private-key-file="+k.server.SigningKeyFile())
	log, err := os.Create(filepath.Join(t.TempDir(), "controller-manager.log"))
	check(t, err)
	cmd.Stdout, cmd.Stderr = log, log
	check(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("the controller manager's last words:\n%s", text[max(0, len(text)-3000):])
		}
	})
}

// startVault runs a Vault and makes it known as region eu's.
func (k *kubernetes) startVault(t *testing.T) *vault.Server {
	t.Helper()
	server := vault.StartT(t, vault.Options{})
	_, region := acme()
	region.Spec.StorageClassName = "standard"
	region.Spec.Vault.Address, region.Spec.Vault.CABundle = server.Address(), v1alpha1.CABundle(server.CAPEM)
	check(t, k.client.Create(t.Context(), region))
	return server
}

// createAcme makes the BusinessRelay acme, as reported by its relay, and the
// service account that the operator makes.
func (k *kubernetes) createAcme(t *testing.T) {
	t.Helper()
	relay, _ := acme()
	status := relay.Status
	check(t, k.client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "acme"}}))
	check(t, k.client.Create(t.Context(), relay))
	relay.Status = status
	check(t, k.client.Status().Update(t.Context(), relay))
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: v1alpha1.TenantName("acme")}}
	check(t, k.client.Create(t.Context(), account))
}

// user returns the kubeconfig of somebody without any right.
func (k *kubernetes) user(t *testing.T, name string) string {
	t.Helper()
	raw, err := k.server.UserKubeconfig(name)
	check(t, err)
	path := filepath.Join(t.TempDir(), "kubeconfig")
	check(t, os.WriteFile(path, raw, 0o600))
	return path
}

// rootToken is the token of a Vault's admin.
func rootToken(t *testing.T, server *vault.Server) string {
	t.Helper()
	root, err := server.Root()
	check(t, err)
	return root.Token()
}

// noVaultInEnvironment keeps the tester's own Vault out of the test. Start servers
// before: HOME, which it sets, is where their programs are cached.
func noVaultInEnvironment(t *testing.T) {
	t.Helper()
	for _, name := range []string{"VAULT_ADDR", "VAULT_TOKEN", "VAULT_CACERT", "VAULT_CAPATH", "VAULT_CACERT_BYTES", "VAULT_NAMESPACE"} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", t.TempDir())
}
