package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/test/await"
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

	dir     string // of the kubeconfig and of the controller's log
	manager *exec.Cmd
	restore func(context.Context) error // makes the server as it was at first
}

// shared is the API server of the tests that leave nothing behind in it that its objects do not show. The first of them starts
// it.
var shared *kubernetes

func TestMain(m *testing.M) {
	code := m.Run()
	if shared != nil {
		if err := shared.stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	os.Exit(code)
}

// startKubernetes returns an API server with our kinds, and nothing else, until the test ends.
func startKubernetes(t *testing.T) *kubernetes {
	t.Helper()
	if shared == nil {
		shared = newKubernetes(t)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), await.Patience)
		defer cancel()
		if err := shared.restore(ctx); err != nil {
			t.Errorf("emptying the API server: %v", err)
		}
		if t.Failed() {
			shared.showLog(t)
		}
	})
	return shared
}

// startOwnKubernetes runs an API server of the test's own, which may change what it keeps in memory, as admission policies.
func startOwnKubernetes(t *testing.T) *kubernetes {
	t.Helper()
	k := newKubernetes(t)
	t.Cleanup(func() {
		if t.Failed() {
			k.showLog(t)
		}
		if err := k.stop(); err != nil {
			t.Errorf("stopping the API server: %v", err)
		}
	})
	return k
}

// newKubernetes runs an API server until stop. With -short the test is skipped.
func newKubernetes(t *testing.T) *kubernetes {
	t.Helper()
	if testing.Short() {
		t.Skip("needs an API server, and -short asks for no servers")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // a build from the module cache included
	defer cancel()
	server, err := apiserver.Start(ctx, apiserver.Options{CRDs: []string{"config/crd/bases"}})
	check(t, err)
	k := &kubernetes{server: server}
	if err := k.begin(ctx); err != nil {
		t.Fatal(errors.Join(err, k.stop()))
	}
	return k
}

func (k *kubernetes) begin(ctx context.Context) (err error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return err
		}
	}
	if k.client, err = client.New(k.server.Config, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	if k.restore, err = k.server.Mark(ctx); err != nil {
		return err
	}
	if k.dir, err = os.MkdirTemp("", "kubernetes-"); err != nil {
		return err
	}
	k.kubeconfig = filepath.Join(k.dir, "kubeconfig")
	if err := os.WriteFile(k.kubeconfig, k.server.Kubeconfig(), 0o600); err != nil {
		return err
	}
	return k.startTokenController(ctx)
}

// startTokenController runs Kubernetes' controller manager, for the one controller
// that fills in the tokens of service accounts.
func (k *kubernetes) startTokenController(ctx context.Context) error {
	programs, err := repository.Program(ctx, "kubernetes")
	if err != nil {
		return err
	}
	k.manager = exec.CommandContext(context.Background(), filepath.Join(filepath.Dir(programs), "kube-controller-manager"),
		"--controllers=serviceaccount-token-controller", "--leader-elect=false", "--secure-port=0",
		"--kubeconfig="+k.kubeconfig,
		"--service-account-private-key-file="+k.server.SigningKeyFile())
	log, err := os.Create(k.logFile())
	if err != nil {
		return err
	}
	defer log.Close()
	k.manager.Stdout, k.manager.Stderr = log, log
	return k.manager.Start()
}

func (k *kubernetes) logFile() string { return filepath.Join(k.dir, "controller-manager.log") }

// showLog shows the end of the controller manager's log.
func (k *kubernetes) showLog(t *testing.T) {
	t.Helper()
	text, _ := os.ReadFile(k.logFile())
	t.Logf("the controller manager's last words:\n%s", text[max(0, len(text)-3000):])
}

// stop ends the API server and its controller.
func (k *kubernetes) stop() error {
	if k.manager != nil && k.manager.Process != nil {
		_ = k.manager.Process.Kill()
		_ = k.manager.Wait()
	}
	return errors.Join(k.server.Stop(), os.RemoveAll(k.dir))
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
