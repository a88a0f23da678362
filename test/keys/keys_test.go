// Package keys_test proves what Vault, as `kubectl relay setup vault` leaves it,
// grants to whom: with a real Vault, and a real Kubernetes API server that issues
// and reviews the tokens of service accounts. Every refusal has a twin: the rightful
// owner's same call, which succeeds.
package keys_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/vault"
	"github.com/relaykeep/relaykeep/relay/vault/setup"
	vaulttest "github.com/relaykeep/relaykeep/test/services/vault"
)

// house is the Vault and the API server that all tests of this package share; each
// test has tenants of its own.
type house struct {
	server *vaulttest.Server
	kube   kubernetes.Interface
	root   *api.Client
	setup  setup.Options
}

var shared *house

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		fmt.Println("skipped: these tests run servers, and -short asks for none")
		return
	}
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "starting Vault and the API server:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	kubeServer, err := apiServer(ctx)
	if err != nil {
		return 0, err
	}
	cfg, err := kubeServer.Start()
	if err != nil {
		return 0, fmt.Errorf("starting the API server: %w", err)
	}
	defer func() { err = errors.Join(err, kubeServer.Stop()) }()
	dir, err := os.MkdirTemp("", "keys-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	h := &house{}
	if h.kube, err = kubernetes.NewForConfig(cfg); err != nil {
		return 0, err
	}
	if h.server, err = vaulttest.Start(ctx, dir, vaulttest.Options{}); err != nil {
		return 0, err
	}
	defer h.server.Stop()
	if h.root, err = h.server.Root(); err != nil {
		return 0, err
	}
	reviewer, err := h.reviewer(ctx)
	if err != nil {
		return 0, err
	}
	h.setup = setup.Options{
		Region: region, KubernetesHost: cfg.Host, KubernetesCA: string(cfg.CAData), ReviewerToken: reviewer, EndpointDomain: "relay.test",
	}
	if err := setup.Apply(ctx, h.root, h.setup, nil); err != nil {
		return 0, err
	}
	shared = h
	return m.Run(), nil
}

// apiServer finds kube-apiserver and etcd through KUBEBUILDER_ASSETS, which the
// Makefile sets, else by asking test/cluster.
func apiServer(ctx context.Context) (*envtest.Environment, error) {
	env := &envtest.Environment{}
	env.ControlPlane.GetAPIServer().Path = filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kube-apiserver")
	env.ControlPlane.Etcd = &envtest.Etcd{Path: filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "etcd")}
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		kube, err := binary(ctx, "kubernetes")
		if err != nil {
			return nil, err
		}
		env.ControlPlane.GetAPIServer().Path = filepath.Join(filepath.Dir(kube), "kube-apiserver")
		if env.ControlPlane.Etcd.Path, err = binary(ctx, "etcd"); err != nil {
			return nil, err
		}
	}
	env.ControlPlaneStartTimeout = 2 * time.Minute
	return env, nil
}

func binary(ctx context.Context, name string) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "-C", "../cluster", "run", ".", "binary", name).Output()
	if err != nil {
		return "", fmt.Errorf("building %s (run `go -C test/cluster run . binary %s` to see why): %w", name, name, err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1], nil
}

// reviewer makes the account by which Vault reviews tokens, and returns its token.
func (h *house) reviewer(ctx context.Context) (string, error) {
	if err := h.account(ctx, "default", "vault"); err != nil {
		return "", err
	}
	_, err := h.kube.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "vault-reviews-tokens"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:auth-delegator"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "default", Name: "vault"}},
	}, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	return h.token(ctx, "default", "vault", "")
}

func (h *house) account(ctx context.Context, namespace, name string) error {
	_, err := h.kube.CoreV1().ServiceAccounts(namespace).Create(ctx,
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	return err
}

// token has the API server issue a service account's token, for its own audience
// when none is named.
func (h *house) token(ctx context.Context, namespace, name, audience string) (string, error) {
	request := &authenticationv1.TokenRequest{}
	if audience != "" {
		request.Spec.Audiences = []string{audience}
	}
	answer, err := h.kube.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, request, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("requesting a token: %w", err)
	}
	return answer.Status.Token, nil
}

// tenant is one business's namespace with its relay's account.
type tenant struct {
	t         *testing.T
	namespace string
	name      string
}

// newTenant makes a namespace whose name begins with the given word and an account
// in it.
func newTenant(t *testing.T, word string) *tenant {
	t.Helper()
	ns, err := shared.kube.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: word + "-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("making a namespace: %v", err)
	}
	tn := &tenant{t: t, namespace: ns.Name, name: word + "-relay"}
	if err := shared.account(t.Context(), tn.namespace, tn.name); err != nil {
		t.Fatalf("making a service account: %v", err)
	}
	return tn
}

// region is the DataRegion whose Vault the house has.
const region = "eu"

// The roles of that region's Vault.
var (
	roleRelay       = contract.RoleRelay(region)
	roleJanitor     = contract.RoleJanitor(region)
	roleCredentials = contract.RoleCredentials(region)
	roleKeeper      = contract.RoleKeeper(region)
)

var audiences = map[string]string{
	roleRelay:       contract.AudienceRelay(region),
	roleJanitor:     contract.AudienceJanitor(region),
	roleCredentials: contract.AudienceCredentials(region),
	roleKeeper:      contract.AudienceKeeper(region),

	contract.FormerRoleRelay:       contract.FormerAudienceRelay,
	contract.FormerRoleJanitor:     contract.FormerAudienceJanitor,
	contract.FormerRoleCredentials: contract.FormerAudienceCredentials,
}

// config is how a pod of the tenant is configured in a role, with its token in a
// file as the kubelet puts it there.
func (tn *tenant) config(role string) vault.Config {
	tn.t.Helper()
	token, err := shared.token(tn.t.Context(), tn.namespace, tn.name, audiences[role])
	if err != nil {
		tn.t.Fatal(err)
	}
	path := filepath.Join(tn.t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(token), 0o600); err != nil {
		tn.t.Fatal(err)
	}
	return vault.Config{
		Vault: shared.server.Contract(), Namespace: tn.namespace, Tenant: tn.name, Role: role, TokenPath: path,
	}
}

func (tn *tenant) client(role string) *vault.Client {
	tn.t.Helper()
	return newClient(tn.t, tn.config(role))
}

// as is the tenant's client in a role that asks for another tenant's paths: what a
// captured relay would try.
func (tn *tenant) as(victim *tenant, role string) *vault.Client {
	tn.t.Helper()
	cfg := tn.config(role)
	cfg.Namespace, cfg.Tenant = victim.namespace, victim.name
	return newClient(tn.t, cfg)
}

func newClient(t *testing.T, cfg vault.Config) *vault.Client {
	t.Helper()
	c, err := vault.New(cfg)
	if err != nil {
		t.Fatalf("making a client: %v", err)
	}
	return c
}

func wantIs(t *testing.T, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s: error is %v, want %v", what, err, target)
	}
}

func must(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}
