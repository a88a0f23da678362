package command

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/audit"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/exit"
	"github.com/relaykeep/relaykeep/controllers"
	relayvault "github.com/relaykeep/relaykeep/relay/vault"
	"github.com/relaykeep/relaykeep/test/nightly"
	"github.com/relaykeep/relaykeep/test/repository"
	"github.com/relaykeep/relaykeep/test/services/kubelet"
	"github.com/relaykeep/relaykeep/test/services/vault"
)

const (
	auditedImage  = "ghcr.io/relaykeep/relay:dev" // which the policies of config/admission admit
	auditedDigest = "sha256:0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"
	operatorSpace = "relaykeep-system"
)

// installation is Relaykeep as an admin installs it, on a real API server with a real Vault, with one relay as its operator
// makes it. The operator made everything and is stopped (scaled to 0), so that what a test breaks stays broken.
type installation struct {
	*kubernetes

	vault   *vault.Server
	root    *api.Client
	kubectl string
	log     atomic.Value                    // of the relay's pod, a string
	serves  atomic.Pointer[tls.Certificate] // the relay's endpoint
	release []string                        // flags that name a signed release
}

// install makes an installation.
func install(t *testing.T) *installation {
	t.Helper()
	i := &installation{kubernetes: startOwnKubernetes(t)}
	i.vault = i.startVault(t)
	kubectl, err := repository.Program(t.Context(), "kubectl")
	check(t, err)
	i.kubectl = kubectl
	noVaultInEnvironment(t)
	t.Setenv("VAULT_TOKEN", rootToken(t, i.vault))
	i.root, err = i.vault.Root()
	check(t, err)
	for _, namespace := range []string{"acme", operatorSpace} {
		check(t, i.client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}))
	}
	_, _, err = run(t, "setup", "vault", "--region", "eu", "--kubeconfig="+i.kubeconfig)
	check(t, err)
	i.log.Store(`{"level":"INFO","msg":"started"}` + "\n")
	i.place(t)
	i.operate(t)
	i.runPod(t)
	i.report(t)
	i.release = signedRelease(t)
	return i
}

// place makes the region's node, class and volume, and installs admission policies and the operator's role.
func (i *installation) place(t *testing.T) {
	t.Helper()
	status := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintln(w, `relaykeep_queue_jobs{queue="webhooks"} 0`)
	}))
	t.Cleanup(status.Close)
	endpoint := httptest.NewUnstartedServer(http.NotFoundHandler())
	endpoint.TLS = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		return i.serves.Load(), nil
	}}
	endpoint.StartTLS()
	t.Cleanup(endpoint.Close)
	kubelet.StartWithLogsT(t, i.server.Kube, "eu-1", kubelet.Ports{
		contract.EndpointPort: endpoint.Listener.Addr().String(), contract.StatusPort: status.Listener.Addr().String(),
	}, func(pod string) string {
		if strings.HasPrefix(pod, "acme-relay") {
			return i.log.Load().(string)
		}
		return `{"level":"INFO","msg":"starting"}` + "\n"
	})
	i.run(t, "label", "node", "eu-1", v1alpha1.LabelNodeRegion+"=eu", corev1.LabelHostname+"=eu-1")
	node := &corev1.Node{}
	check(t, i.client.Get(t.Context(), client.ObjectKey{Name: "eu-1"}, node))
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	check(t, i.client.Status().Update(t.Context(), node))
	check(t, i.client.Create(t.Context(), &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "standard"}, Provisioner: "example.org/none"}))
	for _, path := range [][]string{{"config", "admission"}, {"config", "rbac"}} {
		folder, err := repository.File(path...)
		check(t, err)
		i.run(t, "apply", "--server-side", "-f", folder)
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: operatorSpace, Name: "relaykeep-manager"}}
	check(t, i.client.Create(t.Context(), account))
	i.run(t, "create", "clusterrole", "wide", "--verb=get,list", "--resource=pods,secrets")
	i.run(t, "create", "clusterrolebinding", "relaykeep-manager", "--clusterrole=relaykeep-manager", "--serviceaccount="+operatorSpace+":relaykeep-manager")
}

// run runs kubectl as an admin would.
func (i *installation) run(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), i.kubectl, append([]string{"--kubeconfig=" + i.kubeconfig}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// operate has the operator make what acme's relay and region eu's keeper need, and stops it.
func (i *installation) operate(t *testing.T) {
	t.Helper()
	options, err := controllers.CacheOptions(controllers.Scope{}, operatorSpace)
	check(t, err)
	config := rest.CopyConfig(i.server.Config)
	config.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + operatorSpace + ":relaykeep-manager",
		Groups:   []string{"system:serviceaccounts", "system:authenticated"},
	}
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: i.client.Scheme(), Cache: options, Metrics: metricsserver.Options{BindAddress: "0"}, HealthProbeBindAddress: "0",
	})
	check(t, err)
	check(t, controllers.Setup(t.Context(), manager, controllers.Options{
		RelayImage: auditedImage, OperatorNamespace: operatorSpace, PollInterval: time.Hour, MaxConcurrentReconciles: 1,
	}))
	relay, _ := acme()
	relay.Spec.Webhook = &v1alpha1.Webhook{URL: "https://hooks.acme.example/in"}
	check(t, i.client.Create(t.Context(), relay))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- manager.Start(ctx) }()
	keys := map[client.Object]client.ObjectKey{
		&appsv1.StatefulSet{}:           {Namespace: "acme", Name: "acme-relay"},
		&batchv1.CronJob{}:              {Namespace: operatorSpace, Name: contract.KeeperName("eu")},
		&networkingv1.NetworkPolicy{}:   {Namespace: operatorSpace, Name: contract.KeeperName("eu")},
		&corev1.PersistentVolumeClaim{}: {Namespace: "acme", Name: "acme-relay"},
	}
	err = wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, 2*time.Minute, true, func(ctx context.Context) (bool, error) {
		for object, key := range keys {
			if err := i.client.Get(ctx, key, object); err != nil {
				return false, client.IgnoreNotFound(err)
			}
		}
		return true, nil
	})
	stop()
	if failed := <-ended; failed != nil {
		t.Errorf("the operator: %v", failed)
	}
	check(t, err)
}

// runPod does what the StatefulSet's controller, the scheduler, the volume's provisioner and a kubelet would.
func (i *installation) runPod(t *testing.T) {
	t.Helper()
	set := &appsv1.StatefulSet{}
	check(t, i.client.Get(t.Context(), client.ObjectKey{Namespace: "acme", Name: "acme-relay"}, set))
	pod := &corev1.Pod{ObjectMeta: *set.Spec.Template.ObjectMeta.DeepCopy(), Spec: *set.Spec.Template.Spec.DeepCopy()}
	pod.Namespace, pod.Name = "acme", "acme-relay-0"
	check(t, i.client.Create(t.Context(), pod))
	i.start(t, pod)
	operator := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: operatorSpace, Name: "relaykeep-manager-1", Labels: map[string]string{v1alpha1.LabelComponent: v1alpha1.ComponentManager},
	}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "manager", Image: "ghcr.io/relaykeep/manager:dev"}}}}
	check(t, i.client.Create(t.Context(), operator))
	i.start(t, operator)

	claim := &corev1.PersistentVolumeClaim{}
	check(t, i.client.Get(t.Context(), client.ObjectKey{Namespace: "acme", Name: "acme-relay"}, claim))
	check(t, i.client.Create(t.Context(), &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "volume"},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}, StorageClassName: "standard",
			AccessModes:            claim.Spec.AccessModes,
			PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: "/volumes/1"}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{"eu-1"}}},
			}}}},
		},
	}))
	claim.Spec.VolumeName = "volume"
	check(t, i.client.Update(t.Context(), claim))
}

// start binds a pod to the node, and has it run.
func (i *installation) start(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	check(t, i.server.Kube.CoreV1().Pods(pod.Namespace).Bind(t.Context(), &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name}, Target: corev1.ObjectReference{Kind: "Node", Name: "eu-1"},
	}, metav1.CreateOptions{}))
	i.runs(t, pod.Namespace, pod.Name, auditedDigest)
}

// runs has a pod's node report what it runs.
func (i *installation) runs(t *testing.T, namespace, name, digest string) {
	t.Helper()
	pod := &corev1.Pod{}
	check(t, i.client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, pod))
	pod.Status.Phase, pod.Status.PodIP, pod.Status.PodIPs = corev1.PodRunning, "10.1.2.3", []corev1.PodIP{{IP: "10.1.2.3"}}
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	container := pod.Spec.Containers[0]
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: container.Name, Image: container.Image, ImageID: "ghcr.io/relaykeep/relay@" + digest, Ready: true,
		State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}},
	}}
	check(t, i.client.Status().Update(t.Context(), pod))
}

// report says what relay, janitor and keeper report when all is well, and leaves in Vault what the relay makes there.
func (i *installation) report(t *testing.T) {
	t.Helper()
	relay, _ := acme()
	status := relay.Status
	check(t, i.client.Get(t.Context(), client.ObjectKeyFromObject(relay), relay))
	relay.Status.Endpoint, relay.Status.Identity = status.Endpoint, status.Identity
	relay.Status.Retention = v1alpha1.RetentionStatus{LastSuccessTime: new(metav1.Now()), OldestKeyTime: new(metav1.NewTime(time.Now().Add(-24 * time.Hour)))}
	check(t, i.client.Status().Update(t.Context(), relay))
	region := &v1alpha1.DataRegion{}
	check(t, i.client.Get(t.Context(), client.ObjectKey{Name: "eu"}, region))
	region.Status.Keeper.LastSuccessTime = new(metav1.Now())
	check(t, i.client.Status().Update(t.Context(), region))

	v := i.relaysOwnLogin(t)
	write := func(path string, data map[string]any) {
		_, err := v.Logical().WriteWithContext(t.Context(), path, data)
		check(t, err)
	}
	write("transit/keys/acme.acme-relay", map[string]any{"type": "aes256-gcm96", "auto_rotate_period": relayvault.RotationPeriod(30 * 24 * time.Hour)})
	write("transit-settings/keys/acme.acme-relay", map[string]any{"type": "aes256-gcm96"})
	write("kv/data/acme/acme-relay/identity/1", map[string]any{"data": map[string]any{"some": "thing"}})
	i.serves.Store(signedBy(t, v, "acme-relay.acme.svc"))
}

// relaysOwnLogin is acme's relay's at Vault, by a token that its node asks for.
func (i *installation) relaysOwnLogin(t *testing.T) *api.Client {
	t.Helper()
	config := rest.CopyConfig(i.server.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: "system:node:eu-1", Groups: []string{"system:nodes", "system:masters"}}
	node, err := client.New(config, client.Options{Scheme: i.client.Scheme()})
	check(t, err)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "acme-relay"}}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{contract.AudienceRelay("eu")}}}
	check(t, node.SubResource("token").Create(t.Context(), account, request))
	v, err := i.vault.Client("")
	check(t, err)
	_, logout, err := loginVault(t.Context(), v, "kubernetes", contract.RoleRelay("eu"), request.Status.Token)
	check(t, err)
	t.Cleanup(logout)
	return v
}

// signedBy is an endpoint's certificate for a name, signed by a relay's login.
func signedBy(t *testing.T, v *api.Client, name string) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{name}}, key)
	check(t, err)
	signed, err := v.Logical().WriteWithContext(t.Context(), "pki/sign/"+contract.RoleRelay("eu"), map[string]any{
		"csr": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), "format": "pem",
	})
	check(t, err)
	block, _ := pem.Decode([]byte(signed.Data["certificate"].(string)))
	return &tls.Certificate{Certificate: [][]byte{block.Bytes}, PrivateKey: key}
}

// signedRelease writes a release with the audited image and returns the flags that name it.
func signedRelease(t *testing.T) []string {
	t.Helper()
	folder := t.TempDir()
	images := "ghcr.io/relaykeep/relay:1.0.0 " + auditedDigest + "\n"
	check(t, os.WriteFile(filepath.Join(folder, "images.txt"), []byte(images), 0o600))
	sums := fmt.Appendf(nil, "%x  images.txt\n", sha256.Sum256([]byte(images)))
	check(t, os.WriteFile(filepath.Join(folder, "SHA256SUMS"), sums, 0o600))
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	sum := sha256.Sum256(sums)
	signature, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	check(t, err)
	check(t, os.WriteFile(filepath.Join(folder, "SHA256SUMS.sig"), []byte(base64.StdEncoding.EncodeToString(signature)+"\n"), 0o600))
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	check(t, err)
	public := filepath.Join(folder, "relaykeep.pub")
	check(t, os.WriteFile(public, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600))
	return []string{"--release", filepath.Join(folder, "images.txt"), "--release-key", public}
}

// audit runs the command as an admin and returns the table of acme.
func (i *installation) audit(t *testing.T, more ...string) (*audit.Relay, error) {
	t.Helper()
	args := slices.Concat([]string{"audit", "acme", "-n", "acme", "-o", "json", "--kubeconfig=" + i.kubeconfig}, i.release, more)
	out, _, failed := run(t, args...)
	var report audit.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil || len(report.Relays) != 1 {
		t.Fatalf("it printed %s (%v, %v)", out, err, failed)
	}
	return &report.Relays[0], failed
}

// awaitAudit audits until a check is in a state: the API server learns of policies and rights a moment later.
func (i *installation) awaitAudit(t *testing.T, id audit.ID, state audit.State) (table *audit.Relay, failed error) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
		table, failed = i.audit(t)
		return table.Check(id).State == state, nil
	})
	if err != nil {
		t.Fatalf("the check %s is %+v, and should be %s", id, table.Check(id).Outcome, state)
	}
	return table, failed
}

// breakage is one thing that an admin could do to an installation, and the cell that turns red.
type breakage struct {
	name  string
	do    func(*testing.T)
	undo  func(*testing.T)
	check audit.ID
	data  audit.Data
	party audit.Party
}

func TestAudit(t *testing.T) {
	i := install(t)
	t.Run("everything that can be tried is kept", func(t *testing.T) {
		table, err := i.awaitAudit(t, audit.Configuration, audit.Kept)
		check(t, err)
		others := map[audit.ID]audit.State{audit.Reach: audit.NotTried, audit.HiddenNumbers: audit.ByDesign} // the first takes a pod
		for _, c := range table.Checks {
			if want := cmp.Or(others[c.ID], audit.Kept); c.State != want {
				t.Errorf("%s is %s: %s", c.ID, c.State, c.Detail)
			}
		}
	})
	for _, b := range slices.Concat(i.inKubernetes(), i.inVault()) {
		t.Run(b.name, func(t *testing.T) {
			b.do(t)
			defer b.undo(t)
			table, failed := i.awaitAudit(t, b.check, audit.Broken)
			if cell := table.Cell(b.data, b.party); cell.State != audit.Broken || !slices.Contains(cell.Checks, b.check) {
				t.Errorf("the cell of %s and %s is %s", b.data, b.party, cell.State)
			}
			if exit.Code(failed) != exit.Failed {
				t.Errorf("it exits with %d: %v", exit.Code(failed), failed)
			}
		})
	}
	t.Run("the network is tried", func(t *testing.T) { i.testNetwork(t) })
	t.Run("by somebody with few rights", func(t *testing.T) { i.testFewRights(t) })
	t.Run("prints", func(t *testing.T) { i.testPrinted(t) })
	t.Run("a relay that is called as a subcommand is", func(t *testing.T) { i.testNamedVerify(t) })
}

// inKubernetes are breakages by kubectl.
func (i *installation) inKubernetes() []breakage {
	kubectl := func(args ...string) func(*testing.T) {
		return func(t *testing.T) { t.Helper(); i.run(t, args...) }
	}
	again := func(o client.Object) (do, undo func(*testing.T)) {
		do = func(t *testing.T) {
			t.Helper()
			check(t, i.client.Get(t.Context(), client.ObjectKeyFromObject(o), o))
		}
		undo = func(t *testing.T) {
			t.Helper()
			o.SetResourceVersion("")
			o.SetUID("")
			check(t, i.client.Create(t.Context(), o))
		}
		return do, undo
	}
	after := func(first func(*testing.T), then func(*testing.T)) func(*testing.T) {
		return func(t *testing.T) { t.Helper(); first(t); then(t) }
	}
	var all []breakage
	type bound struct {
		name  string
		check audit.ID
		party audit.Party
	}
	bindings := []bound{
		{"relaykeep-workloads", audit.Workloads, audit.Operator},
		{"relaykeep-tokens", audit.Tokens, audit.OtherRelays},
		{"relaykeep-enter", audit.Enter, audit.OtherRelays},
		{"relaykeep-configuration-business", audit.Configuration, audit.OtherRelays},
		{"relaykeep-operator", audit.OperatorScope, audit.Operator},
		{"relaykeep-region-services", audit.Services, audit.Operator},
		{"relaykeep-region-binding", audit.Placement, audit.OtherRelays},
		{"relaykeep-region-placement", audit.Placement, audit.OtherRelays},
		{"relaykeep-configuration-region", audit.Configuration, audit.OtherRelays},
		{"relaykeep-moves", audit.Policies, audit.Operator},
	}
	for _, p := range nightly.Or(bindings, bindings[:5]) {
		binding := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": map[string]any{"name": p.name},
		}}
		keep, undo := again(binding)
		all = append(all, breakage{
			"the policy " + p.name + " is not bound", after(keep, kubectl("delete", "validatingadmissionpolicybinding", p.name)), undo, p.check, audit.Content, p.party,
		})
	}
	network := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "acme-relay"}}
	keepNetwork, undoNetwork := again(network)
	runningImage := func(digest string) func(*testing.T) {
		return func(t *testing.T) { t.Helper(); i.runs(t, "acme", "acme-relay-0", digest) }
	}
	return append(
		all,
		breakage{"the network policy is gone", after(keepNetwork, kubectl("delete", "networkpolicy", "acme-relay", "-n", "acme")), undoNetwork, audit.RelayNetwork, audit.Statistics, audit.OtherRelays},
		breakage{
			"another network policy opens the relay",
			func(t *testing.T) {
				t.Helper()
				check(t, i.client.Create(t.Context(), &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "acme", Name: "all"}, Spec: networkingv1.NetworkPolicySpec{Ingress: []networkingv1.NetworkPolicyIngressRule{{}}}}))
			},
			kubectl("delete", "networkpolicy", "all", "-n", "acme"), audit.RelayNetwork, audit.Content, audit.OtherRelays,
		},
		breakage{"the image is changed", kubectl("set", "image", "statefulset/acme-relay", "relay=registry.example/another:1", "-n", "acme"), kubectl("set", "image", "statefulset/acme-relay", "relay="+auditedImage, "-n", "acme"), audit.Image, audit.Content, audit.ThisRelay},
		breakage{"another image runs under the same name", runningImage(strings.Replace(auditedDigest, "0f", "ff", 1)), runningImage(auditedDigest), audit.Release, audit.Content, audit.ThisRelay},
		breakage{"the keeper is stopped", suspended(kubectl, "relaykeep-keeper-eu", operatorSpace, true), suspended(kubectl, "relaykeep-keeper-eu", operatorSpace, false), audit.KeeperRuns, audit.Content, audit.Keeper},
		breakage{"the janitor is stopped", suspended(kubectl, "acme-retention", "acme", true), suspended(kubectl, "acme-retention", "acme", false), audit.JanitorRuns, audit.Content, audit.Janitor},
		breakage{
			"a key outlives the retention",
			kubectl("patch", "brelay", "acme", "-n", "acme", "--subresource=status", "--type=merge", "-p", `{"status":{"retention":{"oldestKeyTime":"2020-01-01T00:00:00Z"}}}`),
			kubectl("patch", "brelay", "acme", "-n", "acme", "--subresource=status", "--type=merge", "-p", `{"status":{"retention":{"oldestKeyTime":"`+time.Now().UTC().Format(time.RFC3339)+`"}}}`),
			audit.Keys, audit.Content, audit.ThisRelay,
		},
		breakage{"the relay's account gets rights", kubectl("create", "rolebinding", "wide", "--clusterrole=wide", "--serviceaccount=acme:acme-relay", "-n", "acme"), kubectl("delete", "rolebinding", "wide", "-n", "acme"), audit.AccountRights, audit.Content, audit.Janitor},
		breakage{"the operator may read Secrets", kubectl("create", "rolebinding", "wide", "--clusterrole=wide", "--serviceaccount="+operatorSpace+":relaykeep-manager", "-n", "acme"), kubectl("delete", "rolebinding", "wide", "-n", "acme"), audit.OperatorRights, audit.Content, audit.Operator},
		breakage{"the node leaves the region", kubectl("label", "node", "eu-1", v1alpha1.LabelNodeRegion+"=na", "--overwrite"), kubectl("label", "node", "eu-1", v1alpha1.LabelNodeRegion+"=eu", "--overwrite"), audit.PodRegion, audit.Content, audit.ThisRelay},
		breakage{
			"the region forbids what the relay was told",
			kubectl("patch", "dataregion", "eu", "--type=merge", "-p", `{"spec":{"transfers":"Forbid"}}`),
			kubectl("patch", "dataregion", "eu", "--type=merge", "-p", `{"spec":{"transfers":"Allow"}}`), audit.Processors, audit.Content, audit.Receivers,
		},
		breakage{
			"a log tells a number",
			func(*testing.T) { i.log.Store(`{"level":"INFO","msg":"sent","to":"+491701234567"}` + "\n") },
			func(*testing.T) { i.log.Store(`{"level":"INFO","msg":"sent"}` + "\n") }, audit.Traces, audit.Number, audit.Platform,
		},
	)
}

// suspended stops a CronJob, or lets it go on.
func suspended(kubectl func(...string) func(*testing.T), name, namespace string, stop bool) func(*testing.T) {
	return kubectl("patch", "cronjob", name, "-n", namespace, "--type=merge", "-p", fmt.Sprintf(`{"spec":{"suspend":%t}}`, stop))
}

// inVault are breakages by Vault's admin.
func (i *installation) inVault() []breakage {
	write := func(path string, data map[string]any) func(*testing.T) {
		return func(t *testing.T) {
			t.Helper()
			_, err := i.root.Logical().WriteWithContext(t.Context(), path, data)
			check(t, err)
		}
	}
	again := func(t *testing.T) {
		t.Helper()
		_, _, err := run(t, "setup", "vault", "--region", "eu", "--kubeconfig="+i.kubeconfig)
		check(t, err)
	}
	policy := func(name, more string) func(*testing.T) {
		return func(t *testing.T) {
			t.Helper()
			is, err := i.root.Sys().GetPolicyWithContext(t.Context(), name)
			check(t, err)
			check(t, i.root.Sys().PutPolicyWithContext(t.Context(), name, is+"\n"+more))
		}
	}
	return []breakage{
		{"the key no longer rotates", write("transit/keys/acme.acme-relay/config", map[string]any{"auto_rotate_period": "0"}), write("transit/keys/acme.acme-relay/config", map[string]any{"auto_rotate_period": "24h"}), audit.VaultKey, audit.Content, audit.VaultAdmin},
		{"relays may decrypt others' keys", policy("relaykeep-relay-eu", `path "transit/decrypt/*" { capabilities = ["update"] }`), again, audit.VaultRelay, audit.Content, audit.OtherRelays},
		{"the janitor may decrypt", policy("relaykeep-janitor-eu", `path "transit/decrypt/+" { capabilities = ["update"] }`), again, audit.VaultJanitor, audit.Content, audit.Janitor},
		{"the keeper may read entries", policy("relaykeep-keeper-eu", `path "kv/*" { capabilities = ["read"] }`), again, audit.VaultKeeper, audit.Number, audit.Keeper},
		{"people may read the identity", policy("relaykeep-credentials-eu", `path "kv/data/acme/*" { capabilities = ["read"] }`), again, audit.VaultCredentials, audit.Content, audit.Business},
		{"every account logs in as a relay", write("auth/kubernetes/role/relaykeep-relay-eu", map[string]any{"bound_service_account_names": "*"}), again, audit.VaultRoles, audit.Content, audit.Operator},
		{
			"another role opens the keys",
			func(t *testing.T) {
				t.Helper()
				check(t, i.root.Sys().PutPolicyWithContext(t.Context(), "backup", `path "transit/*" { capabilities = ["update"] }`))
				write("auth/kubernetes/role/backup", map[string]any{"bound_service_account_names": "backup", "bound_service_account_namespaces": "*", "token_policies": "backup"})(t)
			},
			func(t *testing.T) {
				t.Helper()
				_, err := i.root.Logical().DeleteWithContext(t.Context(), "auth/kubernetes/role/backup")
				check(t, err)
			},
			audit.VaultRoles, audit.Content, audit.OtherRelays,
		},
	}
}

// testFewRights audits as somebody who may read relays and regions and start programs in pods, without a login at Vault:
// what is missing is said, and nothing is green that was not tried.
func (i *installation) testFewRights(t *testing.T) {
	t.Setenv("VAULT_TOKEN", "")
	i.allow(t, "clerk", []rbacv1.PolicyRule{
		{APIGroups: []string{"relaykeep.dev"}, Resources: []string{"businessrelays", "dataregions"}, Verbs: []string{"get", "list"}},
		{APIGroups: []string{""}, Resources: []string{"pods/exec"}, Verbs: []string{"create"}},
	})
	clerk := "--kubeconfig=" + i.user(t, "clerk")
	out, _, err := run(t, "audit", "acme", "-n", "acme", "-o", "json", clerk)
	check(t, err)
	var report audit.Report
	check(t, json.Unmarshal([]byte(out), &report))
	for _, c := range report.Relays[0].Checks {
		want := audit.NotTried
		if c.ID == audit.Keys || c.ID == audit.Enter { // which takes no more
			want = audit.Kept
		}
		if c.State != want || c.Detail == "" {
			t.Errorf("%s is %s: %s", c.ID, c.State, c.Detail)
		}
	}
	if detail := report.Relays[0].Check(audit.OperatorRights).Detail; !strings.Contains(detail, "you lack the permission to get serviceaccounts in namespace relaykeep-system: kubectl auth can-i") {
		t.Errorf("it does not say which permission is missing: %s", detail)
	}
	if detail := report.Relays[0].Check(audit.VaultRelay).Detail; !strings.Contains(detail, "VAULT_TOKEN") {
		t.Errorf("it does not say which login is missing: %s", detail)
	}
	out, _, err = run(t, "audit", "acme", "-n", "acme", "--canary", "-o", "json", clerk)
	check(t, err)
	check(t, json.Unmarshal([]byte(out), &report))
	if c := report.Canary; c == nil || c.State != audit.NotTried || !strings.Contains(c.Steps[0].Detail, "kubectl auth can-i") {
		t.Errorf("without the rights that it takes, the canary is %+v", c)
	}
	if _, _, err := run(t, "audit", "acme", "-n", "acme", "--strict", clerk); exit.Code(err) != exit.NotTried {
		t.Errorf("--strict exits with %d: %v", exit.Code(err), err)
	}
}

// testNetwork tries the network with pods that report what a test says, since nothing runs them here.
func (i *installation) testNetwork(t *testing.T) {
	region := &v1alpha1.DataRegion{}
	check(t, i.client.Get(t.Context(), client.ObjectKey{Name: "eu"}, region))
	vaultAt := strings.TrimPrefix(region.Spec.Vault.Address, "https://")
	status := "10.1.2.3:9090"
	for name, c := range map[string]struct {
		reached map[string]bool
		want    audit.State
	}{
		"as it should be":      {map[string]bool{vaultAt: true, status: false, "10.0.0.1:443": false}, audit.Kept},
		"the relay is open":    {map[string]bool{vaultAt: true, status: true, "10.0.0.1:443": false}, audit.Broken},
		"nothing is reached":   {map[string]bool{vaultAt: false, status: false, "10.0.0.1:443": false}, audit.NotTried},
		"not all was reported": {map[string]bool{vaultAt: true, status: false}, audit.NotTried},
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan error, 1)
			go func() { ended <- i.probe(t.Context(), c.reached) }()
			table, _ := i.audit(t, "--probe-network")
			check(t, <-ended)
			if o := table.Check(audit.Reach); o.State != c.want {
				t.Errorf("it is %s: %s", o.State, o.Detail)
			}
			var pods corev1.PodList
			check(t, i.client.List(t.Context(), &pods, client.InNamespace("acme")))
			if len(pods.Items) != 1 {
				t.Errorf("%d pods are there afterwards", len(pods.Items))
			}
		})
	}
}

// probe does what a kubelet does with the pod that tries the network, which must be one that no request is led to.
func (i *installation) probe(ctx context.Context, reached map[string]bool) error {
	message, err := json.Marshal(contract.ProbeResult{Version: contract.ProbeResultVersion, Reached: reached})
	if err != nil {
		return err
	}
	return wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		var pods corev1.PodList
		if err := i.client.List(ctx, &pods, client.InNamespace("acme"), client.MatchingLabels{v1alpha1.LabelInstance: "acme", v1alpha1.LabelComponent: v1alpha1.ComponentRelay}); err != nil {
			return false, err
		}
		at := slices.IndexFunc(pods.Items, func(p corev1.Pod) bool { return strings.HasPrefix(p.Name, "acme-audit-") })
		if at < 0 {
			return false, nil
		}
		pod := &pods.Items[at]
		container := pod.Spec.Containers[0]
		if len(pod.Spec.ReadinessGates) != 1 || len(container.Ports) > 0 || len(pod.Spec.Volumes) > 0 || pod.Labels[v1alpha1.LabelManagedBy] != "" || container.Image != auditedImage {
			return false, fmt.Errorf("the pod is %+v", pod.Spec)
		}
		pod.Status.Phase = corev1.PodSucceeded
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
			Name: container.Name, Image: container.Image, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Message: string(message)}},
		}}
		return true, i.client.Status().Update(ctx, pod)
	})
}

// testPrinted looks at the other outputs.
func (i *installation) testPrinted(t *testing.T) {
	args := append([]string{"audit", "--all", "--kubeconfig=" + i.kubeconfig}, i.release...)
	out, _, err := run(t, args...)
	check(t, err)
	for _, want := range []string{"acme in namespace acme, region eu: who may see what", "WHO GETS WHAT", "hooks.acme.example", "NOT TRIED", "--probe-network", "Nothing is broken at 1 relay"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not print %q:\n%s", want, out)
		}
	}
	out, _, err = run(t, append(args, "-o", "html")...)
	check(t, err)
	if !strings.HasPrefix(out, "<!DOCTYPE html>") || strings.Contains(out, "+4930111111") {
		t.Errorf("the page is %s", out)
	}
}

// testNamedVerify audits a relay that the subcommand verify hides.
func (i *installation) testNamedVerify(t *testing.T) {
	relay, _ := acme()
	relay.Name, relay.Spec.PhoneNumber = "verify", "+4930111112"
	check(t, i.client.Create(t.Context(), relay))
	defer func() { check(t, i.client.Delete(t.Context(), relay)) }()
	for _, name := range []string{"brelay/verify", "businessrelays.relaykeep.dev/verify"} {
		out, _, err := run(t, "audit", name, "-n", "acme", "-o", "json", "--kubeconfig="+i.kubeconfig)
		var report audit.Report
		if failed := json.Unmarshal([]byte(out), &report); failed != nil || len(report.Relays) != 1 || report.Relays[0].Name != "verify" {
			t.Errorf("%s: %v, %v", name, failed, err)
		}
	}
}

func TestAudit_RefusesWhatMakesNoSense(t *testing.T) {
	for says, args := range map[string][]string{
		"give its name":             {"--all", "--canary"},
		"write the BusinessRelay":   {"pod/acme"},
		"--search is for --canary":  {"acme", "--search", "volume=/tmp"},
		"write PLACE=PATH":          {"acme", "--canary", "--search", "memory=/tmp"},
		"begins with +999":          {"acme", "--canary", "--canary-number", "+491701234567"},
		"--prepare is for --search": {"acme", "--canary", "--prepare", "true"},
	} {
		if _, _, err := run(t, append([]string{"audit"}, args...)...); exit.Code(err) != exit.Usage || !strings.Contains(err.Error(), says) {
			t.Errorf("%v: exit %d, %v", args, exit.Code(err), err)
		}
	}
}
