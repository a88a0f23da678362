package command

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/relay/config"
	"github.com/relaykeep/relaykeep/relay/serve"
	"github.com/relaykeep/relaykeep/relay/vault"
	"github.com/relaykeep/relaykeep/relay/vault/setup"
	"github.com/relaykeep/relaykeep/test/await"
	"github.com/relaykeep/relaykeep/test/services/kubelet"
	vaulttest "github.com/relaykeep/relaykeep/test/services/vault"
)

// mover is a cluster with two regions, each with a real Vault, and a real relay in it. It does the operator's part, and the
// kubelet's.
type mover struct {
	t      *testing.T
	k      *kubernetes
	vaults map[string]*vaulttest.Server
	dir    string
	status string // host:port of the relay's status server

	mu     sync.Mutex
	absent map[string]bool // regions where no pod starts
	mute   bool            // nothing is reported of a relay that runs
	hides  string          // what the relay runs as
	stop   func()
}

// newMover starts everything. The relay runs in eu, and may not move yet.
func newMover(t *testing.T) *mover {
	t.Helper()
	m := &mover{t: t, k: startKubernetes(t), vaults: map[string]*vaulttest.Server{}, dir: t.TempDir(), absent: map[string]bool{}, stop: func() {}}
	reviewer, err := m.k.server.AddReviewer(t.Context())
	check(t, err)
	for _, name := range []string{"eu", "na"} {
		server := vaulttest.StartT(t, vaulttest.Options{})
		m.vaults[name] = server
		root, err := server.Root()
		check(t, err)
		kube := m.k.server.Config
		check(t, setup.Apply(t.Context(), root, setup.Options{
			Region: name, KubernetesHost: kube.Host, KubernetesCA: string(kube.CAData), ReviewerToken: reviewer, EndpointDomain: "relay.test",
		}, nil))
		_, region := acme()
		region.Name, region.Spec.StorageClassName = name, "standard"
		region.Spec.Vault.Address, region.Spec.Vault.CABundle = server.Address(), v1alpha1.CABundle(server.CAPEM)
		check(t, m.k.client.Create(t.Context(), region))
	}
	m.k.createAcme(t)
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0") // a port that is free
	check(t, err)
	m.status = l.Addr().String()
	check(t, l.Close())
	kubelet.StartT(t, m.k.server.Kube, "node", kubelet.Ports{contract.StatusPort: m.status})
	noVaultInEnvironment(t)
	t.Setenv("VAULT_TOKEN", rootToken(t, m.vaults["eu"]))
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		m.operate(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		m.stop()
	})
	m.await("the relay runs in eu", keysReady)
	return m
}

func keysReady(r *v1alpha1.BusinessRelay) bool {
	return meta.IsStatusConditionTrue(r.Status.Conditions, v1alpha1.ConditionKeysReady) && r.Status.ObservedGeneration == r.Generation
}

func (m *mover) relay(ctx context.Context) *v1alpha1.BusinessRelay {
	relay := &v1alpha1.BusinessRelay{}
	if m.k.client.Get(ctx, client.ObjectKey{Namespace: "acme", Name: "acme"}, relay) != nil {
		return nil
	}
	return relay
}

func (m *mover) await(what string, is func(*v1alpha1.BusinessRelay) bool) {
	m.t.Helper()
	await.Until(m.t, what, func() bool { r := m.relay(m.t.Context()); return r != nil && is(r) })
}

// operate keeps the relay as its object says.
func (m *mover) operate(ctx context.Context) {
	for ctx.Err() == nil {
		if relay := m.relay(ctx); relay != nil {
			m.reconcile(ctx, relay)
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (m *mover) reconcile(ctx context.Context, relay *v1alpha1.BusinessRelay) {
	region, does := string(relay.Spec.DataRegion), ""
	if relay.InTransit() {
		does = contract.MoveDepart
		if relay.Spec.DataRegion == relay.Spec.Moving.To {
			does = contract.MoveArrive
		}
	}
	m.mu.Lock()
	want := region + " " + v1alpha1.ClaimName(relay) + " " + does
	if relay.Spec.Suspend && does == "" || m.absent[region] {
		want = ""
	}
	changed, mute := want != m.hides, m.mute
	m.hides = want
	m.mu.Unlock()
	if changed {
		m.stop()
		m.stop = func() {}
		_ = m.k.server.Kube.CoreV1().Pods("acme").Delete(ctx, "acme-relay-0", metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))})
		if want != "" {
			m.run(ctx, relay, does)
		}
	}
	if want != "" && !mute {
		m.report(ctx, relay)
	}
}

// run starts the relay, with its claim and its pod.
func (m *mover) run(ctx context.Context, relay *v1alpha1.BusinessRelay, does string) {
	region, claim := string(relay.Spec.DataRegion), v1alpha1.ClaimName(relay)
	labels := map[string]string{v1alpha1.LabelRegion: region, v1alpha1.LabelInstance: "acme"}
	_ = m.k.client.Create(ctx, &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: claim, Labels: labels},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		},
	})
	file := contract.Config{
		Version: contract.ConfigVersion, Namespace: "acme", Name: "acme-relay", Region: region, PhoneNumber: relay.Spec.PhoneNumber,
		Endpoint:      contract.Endpoint{URL: "https://acme-relay.acme.relay.test", Host: "acme-relay.acme.relay.test", TLS: contract.TLSFromPKI},
		RetentionDays: 30, Trust: "blind", Throughput: 80, Rotation: contract.Rotation{Identity: 1, Access: 1}, Move: does, Volume: claim,
	}
	raw, _ := json.Marshal(file)
	path := filepath.Join(m.dir, "relay.json")
	_ = os.WriteFile(path, raw, 0o600)
	volume := filepath.Join(m.dir, claim)
	_ = os.MkdirAll(volume, 0o700)
	running, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		done <- serve.Run(running, serve.Options{
			ConfigPath: path, DataDir: volume, StatusAddr: m.status, EndpointAddr: "127.0.0.1:0",
			Arguments: config.Arguments{
				Vault:   m.vaults[region].Contract(),
				Carrier: contract.Carrier{XMPP: &contract.XMPP{Domain: "eu.relay.test", Address: "127.0.0.1:1", Registration: "Open"}},
			},
			Token: func(ctx context.Context) (string, error) {
				return m.k.server.Token(ctx, "acme", "acme-relay", contract.AudienceRelay(region))
			},
		})
	}()
	m.stop = func() {
		cancel()
		if err := <-done; err != nil {
			m.t.Errorf("the relay ended with %v", err)
		}
	}
	_ = kubelet.RunPod(ctx, m.k.server.Kube, "node", "acme", "acme-relay-0", corev1.PodRunning)
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "acme-relay-0"}}
	patch, _ := json.Marshal(map[string]any{"metadata": map[string]any{"labels": labels}})
	_ = m.k.client.Patch(ctx, pod, client.RawPatch("application/merge-patch+json", patch))
}

// report writes what the relay says into its object.
func (m *mover) report(ctx context.Context, relay *v1alpha1.BusinessRelay) {
	request, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+m.status+"/status", http.NoBody)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return
	}
	defer response.Body.Close()
	var said contract.Status
	if json.NewDecoder(response.Body).Decode(&said) != nil {
		return
	}
	before := relay.DeepCopy()
	for _, c := range said.Conditions {
		meta.SetStatusCondition(&relay.Status.Conditions, metav1.Condition{
			Type: c.Type, Status: metav1.ConditionStatus(c.Status), Reason: c.Reason, Message: c.Message, ObservedGeneration: relay.Generation,
		})
	}
	relay.Status.ObservedGeneration = relay.Generation
	relay.Status.Identity.Fingerprint = said.Fingerprint
	_ = m.k.client.Status().Patch(ctx, relay, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
}

// let decides in which regions no pod starts.
func (m *mover) let(absent ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.absent = map[string]bool{}
	for _, region := range absent {
		m.absent[region] = true
	}
}

func (m *mover) setMute(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mute = on
}

// command runs the command.
func (m *mover) command(more ...string) (string, error) {
	m.t.Helper()
	args := append([]string{
		"move", "acme", "-n", "acme", "--to-region", "na", "--yes", "--kubeconfig=" + m.k.kubeconfig,
		"--file", filepath.Join(m.dir, "acme.age"), "--to-vault-token-file", tokenFile(m.t, rootToken(m.t, m.vaults["na"])),
	}, more...)
	out, _, err := run(m.t, args...)
	return out, err
}

// wantError runs the command, which must fail with all the words.
func (m *mover) wantError(what string, words []string, more ...string) {
	m.t.Helper()
	out, err := m.command(more...)
	if err == nil {
		m.t.Fatalf("%s: it succeeded: %s", what, out)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			m.t.Fatalf("%s: the error is %v, want %q in it", what, err, word)
		}
	}
}

func (m *mover) wantDone(what string, more ...string) {
	m.t.Helper()
	if out, err := m.command(more...); err != nil {
		m.t.Fatalf("%s: %v; %s", what, err, out)
	}
}

// wantState checks where the relay is.
func (m *mover) wantState(what, region string, moves int32, moving bool) *v1alpha1.BusinessRelay {
	m.t.Helper()
	r := m.relay(m.t.Context())
	if string(r.Spec.DataRegion) != region || r.Spec.Moves != moves || (r.Spec.Moving != nil) != moving {
		m.t.Fatalf("%s: the relay is in %s after %d moves, moving %+v", what, r.Spec.DataRegion, r.Spec.Moves, r.Spec.Moving)
	}
	return r
}

func (m *mover) patchRegion(region, spec string) {
	m.t.Helper()
	o := &v1alpha1.DataRegion{ObjectMeta: metav1.ObjectMeta{Name: region}}
	check(m.t, m.k.client.Patch(m.t.Context(), o, client.RawPatch("application/merge-patch+json", []byte(`{"spec":`+spec+`}`))))
}

func (m *mover) admin(region string) *vault.Client {
	m.t.Helper()
	root, err := m.vaults[region].Root()
	check(m.t, err)
	c, err := vault.ForAdmin(root, m.vaults[region].Contract(), "acme", "acme-relay")
	check(m.t, err)
	return c
}

// wantHolds checks what a region's Vault has.
func (m *mover) wantHolds(what, region string, want bool) {
	m.t.Helper()
	if holds, err := m.admin(region).Holds(m.t.Context()); err != nil || holds != want {
		m.t.Errorf("%s: the Vault of %s holds something: %v (%v)", what, region, holds, err)
	}
}

func (m *mover) hasClaim(name string) bool {
	claim := &corev1.PersistentVolumeClaim{}
	err := m.k.client.Get(m.t.Context(), client.ObjectKey{Namespace: "acme", Name: name}, claim)
	if client.IgnoreNotFound(err) != nil {
		m.t.Fatal(err)
	}
	return !apierrors.IsNotFound(err) && claim.DeletionTimestamp == nil
}

func TestMove(t *testing.T) {
	m := newMover(t)
	identity := m.relay(t.Context()).Status.Identity.Fingerprint
	m.testRefusals()

	// What fails before the store has left leads back or on.
	m.wantError("the file cannot be written", []string{"writing the sealed file", "run the command again to go on, or with --back to start it in region eu"}, "--file", m.dir)
	m.wantState("then", "eu", 0, true)
	m.wantError("another move meanwhile", []string{"already moving from eu to na"}, "--to-region", "eu")
	m.wantDone("giving it up", "--back")
	r := m.wantState("then", "eu", 0, false)
	if r.Spec.Suspend || !keysReady(r) {
		t.Error("the relay does not run after the move was given up")
	}
	m.wantHolds("after the move was given up", "na", false)

	// What fails in the new region leads back or on, too.
	m.let("na")
	m.wantError("no pod in the new region", []string{"its pod has not started", "run the command again"}, "--timeout", "5s")
	m.wantState("then", "na", 1, true)
	m.let()
	file := filepath.Join(m.dir, "acme.age")
	check(t, os.Rename(file, file+".kept"))
	m.wantError("the file is gone", []string{"the sealed file is not here"})
	check(t, os.WriteFile(file, []byte("age-encryption.org/v1\n"), 0o600))
	m.wantError("the file is another", []string{"is not the file that the relay handed out"})
	m.wantError("back with Vaults mixed up", []string{"is the other region's"}, m.mixedUp("--back")...)
	m.wantHolds("then", "eu", true)
	m.wantDone("returning", "--back")
	m.wantState("then", "eu", 0, false)
	m.wantHolds("after it returned", "na", false)
	if m.hasClaim("acme-relay-1") || !m.hasClaim("acme-relay") {
		t.Error("after it returned, the claims are not as before")
	}

	m.wantError("while the claim of before is there", []string{"nothing was changed", "claim acme-relay-1, which the relay would get there, is still being deleted"})
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "acme-relay-1"}}
	check(t, m.k.client.Patch(t.Context(), claim, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))))

	// What fails at the end leads on.
	m.let("na")
	m.wantError("no pod in the new region", []string{"its pod has not started"}, "--timeout", "5s")
	m.setMute(true)
	m.let()
	m.wantError("nobody tells of the relay", []string{"region eu still has its keys", "run the command again to destroy them"}, "--timeout", "5s")
	m.wantState("then", "na", 1, true)
	m.wantError("back once it has been started", []string{"cannot return"}, "--back")
	m.setMute(false)
	m.wantError("on with Vaults mixed up", []string{"is the other region's"}, m.mixedUp()...)
	m.wantHolds("then", "na", true)
	m.wantDone("going on")
	r = m.wantState("at the end", "na", 1, false)
	if r.Status.Identity.Fingerprint != identity || identity == "" {
		t.Error("the relay has another identity than before")
	}
	m.wantHolds("at the end", "eu", false)
	if m.hasClaim("acme-relay") || !m.hasClaim("acme-relay-1") {
		t.Error("the claims are not those of the new region")
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("the file is still there: %v", err)
	}
	out, err := m.command()
	check(t, err)
	if !strings.Contains(out, "nothing to do") {
		t.Errorf("moving it again says %s", out)
	}
	for _, name := range []string{"identity/1", "owner"} {
		names, err := m.admin("na").Secrets(t.Context())
		check(t, err)
		if !strings.Contains(strings.Join(names, " "), name) || strings.Contains(strings.Join(names, " "), "arrival") {
			t.Errorf("the new region's Vault has %v", names)
		}
	}
}

// mixedUp are flags that lead each region's part to the other's Vault.
func (m *mover) mixedUp(more ...string) []string {
	flags := more
	for prefix, region := range map[string]string{"": "na", "to-": "eu"} {
		server := m.vaults[region]
		flags = append(flags, "--"+prefix+"vault-address", server.Address(), "--"+prefix+"vault-ca", authorityFile(m.t, server),
			"--"+prefix+"vault-token-file", tokenFile(m.t, rootToken(m.t, server)))
	}
	return flags
}

// testRefusals: a move that cannot be made is refused with the reason, and nothing is changed.
func (m *mover) testRefusals() {
	m.t.Helper()
	const nothing = "nothing was changed"
	m.wantError("without consent", []string{nothing, "DataRegion eu lets no relay move to na"})
	m.patchRegion("eu", `{"moves":{"to":["na"]}}`)
	m.wantError("with one's consent", []string{nothing, "DataRegion na takes no relay from eu"})
	m.patchRegion("na", `{"moves":{"from":["eu"]},"carrier":{"xmpp":{"domain":"na.relay.test"}}}`)
	m.wantError("with another carrier", []string{nothing, "different carrier domains"})
	m.patchRegion("na", `{"carrier":{"xmpp":{"domain":"eu.relay.test"}}}`)
	m.wantError("without a token", []string{"no token for the Vault of region na"}, "--to-vault-token-file", tokenFile(m.t, ""))
	m.wantError("to a region that is not there", []string{"there is no DataRegion zz"}, "--to-region", "zz")
	m.wantError("of a relay that is not there", []string{"there is no BusinessRelay"}, "-n", "default")

	root, err := m.vaults["na"].Root()
	check(m.t, err)
	role := contract.RoleRelay("na")
	policy, err := root.Sys().GetPolicyWithContext(m.t.Context(), role)
	check(m.t, err)
	check(m.t, root.Sys().PutPolicyWithContext(m.t.Context(), role, `path "auth/token/renew-self" { capabilities = ["update"] }`))
	m.wantError("with an earlier release's policies", []string{nothing, "kubectl relay setup vault --region na"})
	check(m.t, root.Sys().PutPolicyWithContext(m.t.Context(), role, policy))
	check(m.t, m.admin("na").AllowArrival(m.t.Context(), vault.Arrival{Token: "of whom?"}))
	m.wantError("where there is something of that name", []string{nothing, "already has keys or secrets", "kubectl relay erase acme -n acme --region na"})
	check(m.t, m.admin("na").EndArrival(m.t.Context()))
	if _, err := answering(m.t, "acne\n", "move", "acme", "-n", "acme", "--to-region", "na", "--kubeconfig="+m.k.kubeconfig,
		"--to-vault-token-file", tokenFile(m.t, rootToken(m.t, m.vaults["na"]))); err == nil || !strings.Contains(err.Error(), "not confirmed") {
		m.t.Errorf("not confirmed: %v", err)
	}
	m.wantState("after the refusals", "eu", 0, false)
	m.wantHolds("after the refusals", "na", false)
}
