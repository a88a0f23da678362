package command

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/test/services/vault"
)

// repository is the main module's folder, seen from this package's tests.
const repository = "../../../.."

// kubernetes is a real API server, with the real controller that fills in service
// account tokens.
type kubernetes struct {
	client     client.Client
	kubeconfig string // of a cluster admin
	env        *envtest.Environment
}

// startKubernetes runs an API server with our kinds until the test ends.
func startKubernetes(t *testing.T) *kubernetes {
	t.Helper()
	if testing.Short() {
		t.Skip("needs real servers; run make test")
	}
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	if assets == "" {
		assets = built(t, "envtest")
	}
	env := &envtest.Environment{
		BinaryAssetsDirectory: assets, ControlPlaneStartTimeout: 2 * time.Minute,
		CRDDirectoryPaths:     []string{filepath.Join(repository, "config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
	}
	config, err := env.Start()
	check(t, err)
	t.Cleanup(func() { check(t, env.Stop()) })
	scheme := runtime.NewScheme()
	check(t, clientgoscheme.AddToScheme(scheme))
	check(t, v1alpha1.AddToScheme(scheme))
	k, err := client.New(config, client.Options{Scheme: scheme})
	check(t, err)
	path := filepath.Join(t.TempDir(), "kubeconfig")
	check(t, os.WriteFile(path, env.KubeConfig, 0o600))
	return &kubernetes{client: k, kubeconfig: path, env: env}
}

// built builds a program of the test cluster, if it is not cached, and returns
// where it is.
func built(t *testing.T, name string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "-C", filepath.Join(repository, "test", "cluster"), "run", ".", "binary", name)
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("no %s: run `go -C test/cluster run . binary %s` to see why: %v", name, name, err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}

// startTokenController runs Kubernetes' controller manager, for the one controller
// that fills in the tokens of service accounts.
func (k *kubernetes) startTokenController(t *testing.T) {
	t.Helper()
	manager := filepath.Join(filepath.Dir(built(t, "kubernetes")), "kube-controller-manager")
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), manager,
		"--controllers=serviceaccount-token-controller", "--leader-elect=false", "--secure-port=0",
		"--kubeconfig="+k.kubeconfig,
		"--service-account-private-key-file="+filepath.Join(k.env.ControlPlane.APIServer.CertDir, "sa-signer.key"))
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
	user, err := k.env.AddUser(envtest.User{Name: name}, nil)
	check(t, err)
	raw, err := user.KubeConfig()
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
