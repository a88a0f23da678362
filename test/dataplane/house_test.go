// Package dataplane_test proves the relay's process whole: a real Vault with logins that
// a real Kubernetes API server vouches for, a real Prosody, real Signal sessions of
// a real customer, and the business's own ends, its webhook and its HTTP calls, on
// the outside.
package dataplane_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/relaykeep/relaykeep/relay/vault/setup"
	"github.com/relaykeep/relaykeep/test/services/prosody"
	"github.com/relaykeep/relaykeep/test/services/vault"
)

// patience is how long anything may take that the tests wait for.
const patience = 60 * time.Second

// house is what all tests of this package share; each has a tenant of its own.
type house struct {
	vault   *vault.Server
	root    *api.Client
	prosody *prosody.Server
	kube    kubernetes.Interface
	setup   setup.Options // of Vault
	numbers atomic.Int64  // handed out
}

var shared *house

func TestMain(m *testing.M) {
	if dir := os.Getenv(childVariable); dir != "" {
		child(dir)
	}
	flag.Parse()
	if testing.Short() {
		fmt.Println("skipped: these tests run servers, and -short asks for none")
		return
	}
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "starting the servers:", err)
		code = 1
	}
	os.Exit(code)
}

// run starts the servers, runs the tests, and stops the servers.
func run(m *testing.M) (code int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute) // builds included
	defer cancel()
	dir, err := os.MkdirTemp("", "dataplane-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	h := &house{}
	kubeConfig, stop, err := startKubernetes(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if h.kube, err = kubernetes.NewForConfig(kubeConfig); err != nil {
		return 0, err
	}
	if h.vault, err = vault.Start(ctx, dir+"/vault", vault.Options{}); err != nil {
		return 0, err
	}
	defer h.vault.Stop()
	if h.root, err = h.vault.Root(); err != nil {
		return 0, err
	}
	if err := h.setUpVault(ctx, kubeConfig); err != nil {
		return 0, err
	}
	if h.prosody, err = prosody.Start(ctx, dir+"/prosody", prosody.Options{Registration: true}); err != nil {
		return 0, err
	}
	defer h.prosody.Stop()
	shared = h
	return m.Run(), nil
}

// startKubernetes runs an API server: it issues and reviews the relays' tokens.
func startKubernetes(ctx context.Context) (*rest.Config, func() error, error) {
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	if assets == "" {
		out, err := exec.CommandContext(ctx, "go", "-C", "../cluster", "run", ".", "binary", "envtest").Output()
		if err != nil {
			return nil, nil, fmt.Errorf("building the API server (run `go -C test/cluster run . binary envtest` to see why): %w", err)
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		assets = lines[len(lines)-1]
	}
	env := &envtest.Environment{BinaryAssetsDirectory: assets, ControlPlaneStartTimeout: 2 * time.Minute}
	config, err := env.Start()
	return config, env.Stop, err
}

// setUpVault does what an admin does once, with `kubectl relay setup vault`.
func (h *house) setUpVault(ctx context.Context, kube *rest.Config) error {
	if err := h.account(ctx, "default", "reviewer"); err != nil {
		return err
	}
	_, err := h.kube.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "reviewer"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:auth-delegator"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "default", Name: "reviewer"}},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	reviewer, err := h.token(ctx, "default", "reviewer")
	if err != nil {
		return err
	}
	h.setup = setup.Options{
		Region: "eu", KubernetesHost: kube.Host, KubernetesCA: string(kube.CAData), ReviewerToken: reviewer, EndpointDomain: "relay.test",
	}
	return setup.Apply(ctx, h.root, h.setup, nil)
}

func (h *house) account(ctx context.Context, namespace, name string) error {
	_, err := h.kube.CoreV1().ServiceAccounts(namespace).Create(ctx,
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	return err
}

// token has the API server issue a service account's token.
func (h *house) token(ctx context.Context, namespace, name string, audiences ...string) (string, error) {
	answer, err := h.kube.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences}}, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("requesting a token: %w", err)
	}
	return answer.Status.Token, nil
}

// number returns one that nobody has.
func (h *house) number() string { return fmt.Sprintf("+49171392%06d", h.numbers.Add(1)) }

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
		<-tick.C
	}
}
