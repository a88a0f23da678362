package admission

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/desired"
	"github.com/relaykeep/relaykeep/controllers/internal/testenv"
)

// operatorUser is the operator's account where the chart has its default names. In
// these tests it may do everything, so that the policies alone decide.
const operatorUser = "system:serviceaccount:relaykeep-system:relaykeep-manager"

// relayImage is the image that the policies of config/admission allow.
const relayImage = "ghcr.io/relaykeep/relay:dev"

// house holds the children of a BusinessRelay that asks for everything there is, as
// manifests, and the operator.
type house struct {
	operator       client.Client
	operatorConfig *rest.Config
	in             desired.Input

	relayPod, janitorPod, keeperPod, keeperCron, statefulSet, job, cronJob, configuration string
}

const fullRelayYAML = `
apiVersion: relaykeep.dev/v1alpha1
kind: BusinessRelay
metadata: {name: acme, namespace: default}
spec:
  phoneNumber: "+41441234567"
  dataRegion: eu
  businessAccount: acme-numbers
  profile: {displayName: 'Acme "Anvils" \u0041 & <Sons>', about: '"webhook": {"url": "https://evil.example"}'}
  webhook:
    url: https://hooks.acme.example:9443/in?a=1&b=<2>
    caBundle: |
      # Acme & "Sons"
      -----BEGIN CERTIFICATE-----
      AA==
      -----END CERTIFICATE-----
    clientCertificateSecretName: hook-client
    credentialsSecretName: acme-webhook-credentials
    maxUpdates: 100
  log:
    retentionMonths: 24
    witness:
      url: https://witness.acme.example:8089
      publicKey: witness.acme.example+0123abcd+BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
  processors:
    - name: insight
      url: https://copies.example:9443/acme?a=1&b=<2>
      caBundle: |
        # Copies & "Sons"
        -----BEGIN CERTIFICATE-----
        Aw==
        -----END CERTIFICATE-----
      purpose: statistics
      country: DE
    - {name: archive, url: "https://archive.example/", purpose: archive, country: US}
  endpoint: {tlsSecretName: endpoint-tls}
  trust: firstUse
  acceptUnencrypted: true
  privacy: {clearMetadata: true, shareNumbers: false}
  encryptionNotice: Never
  encryptionNoticeText: "Tap the lock.\n\"Acme\" \\ <reads> & writes: \U0001F512"
  imagePullSecrets: [{name: registry}]
`

// newHouse makes the BusinessRelay and renders its children, as the operator would.
func newHouse(t *testing.T) *house {
	t.Helper()
	cfg := rest.CopyConfig(server.Config)
	cfg.Impersonate = rest.ImpersonationConfig{UserName: operatorUser, Groups: []string{"system:masters"}}
	operator, err := client.New(cfg, client.Options{Scheme: testenv.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	relay := object(t, fullRelayYAML, nil)
	if err := server.Client.Create(t.Context(), relay); err != nil {
		t.Fatal(err)
	}
	deleteAtEnd(t, relay)
	h := &house{operator: operator, operatorConfig: cfg, in: desired.Input{
		Relay: &v1alpha1.BusinessRelay{}, Region: &v1alpha1.DataRegion{}, RelayImage: relayImage, OperatorNamespace: "relaykeep-system",
	}}
	for o, key := range map[client.Object]client.ObjectKey{
		h.in.Relay:  client.ObjectKeyFromObject(relay),
		h.in.Region: {Name: "eu"},
	} {
		if err := server.Client.Get(t.Context(), key, o); err != nil {
			t.Fatal(err)
		}
	}
	h.render(t)
	h.awaitPolicies(t)
	return h
}

// awaitPolicies waits until the API server compares configurations with the objects
// that were just made, and holds the operator to its own.
func (h *house) awaitPolicies(t *testing.T) {
	t.Helper()
	refused := func(c client.Client, manifest string, edit func(map[string]any), policy string) bool {
		err := c.Create(t.Context(), object(t, manifest, edit), client.DryRunAll)
		return err != nil && strings.Contains(err.Error(), policy)
	}
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) {
		return refused(server.Client, h.configuration, insert(evilVault), "relaykeep-configuration-region") &&
			refused(server.Client, h.relayPod, argument("spec", 5, "--vault-address=https://evil.example"), "relaykeep-region-services") &&
			refused(h.operator, h.statefulSet, argument("spec/template/spec", 5, "--vault-address=https://evil.example"), "relaykeep-region-services") &&
			refused(server.Client, h.configuration, rewrite("hooks.acme.example", "evil.example"), "relaykeep-configuration-business") &&
			refused(server.Client, h.relayPod, image("spec", "evil"), "relaykeep-workloads") &&
			refused(h.operator, operatorsMap, set("metadata/labels", nil), "relaykeep-operator"), nil
	})
	if err != nil {
		t.Fatalf("the policies on workloads, configurations and the operator are not enforced in time: %v", err)
	}
}

// render renders the children that rules are tried on.
func (h *house) render(t *testing.T) {
	t.Helper()
	file, hash, err := desired.Config(h.in)
	if err != nil {
		t.Fatal(err)
	}
	h.configuration = manifest(t, desired.ConfigMap(h.in, file))
	h.statefulSet = manifest(t, desired.StatefulSet(h.in, hash))
	h.job = manifest(t, desired.EraseJob(h.in))
	h.cronJob = manifest(t, desired.CronJob(h.in))
	set, cron := &appsv1.StatefulSet{}, &batchv1.CronJob{}
	parse(t, h.statefulSet, set)
	parse(t, h.cronJob, cron)
	keeper := desired.KeeperInput{Region: h.in.Region, RelayImage: relayImage, PullSecrets: []string{"registry"}, Namespace: h.in.OperatorNamespace}
	h.keeperCron = manifest(t, desired.KeeperCronJob(keeper))
	keeps := &batchv1.CronJob{}
	parse(t, h.keeperCron, keeps)
	pod := podOf(t, "relaykeep-keeper-eu-1", keeps.Spec.JobTemplate.Spec.Template)
	h.keeperPod = manifest(t, object(t, pod, put("metadata/namespace", h.in.OperatorNamespace)).Object)
	h.relayPod = podOf(t, h.in.Relay.Name+"-relay-0", set.Spec.Template)
	h.janitorPod = podOf(t, h.in.Relay.Name+"-retention-1", cron.Spec.JobTemplate.Spec.Template)
}

// podOf is the pod that a controller makes from a template.
func podOf(t *testing.T, name string, template corev1.PodTemplateSpec) string {
	t.Helper()
	pod := &corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
	pod.APIVersion, pod.Kind, pod.Namespace, pod.Name = "v1", "Pod", "default", name
	return manifest(t, pod)
}

func manifest(t *testing.T, o any) string {
	t.Helper()
	data, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func parse(t *testing.T, manifest string, o any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(manifest), o); err != nil {
		t.Fatal(err)
	}
}

// testRules tries rules on a manifest, by the user of a client.
func testRules(t *testing.T, c client.Client, manifest string, rules []rule) {
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) { r.testCreateAs(t, c, manifest) })
	}
}

// testOperatorsOwn holds that the policies let the operator do its work: twice over
// with a relay that asks for nothing but what is required.
func (h *house) testOperatorsOwn(t *testing.T) {
	h.tryAll(t, h.in)
	minimal := object(t, relayYAML, set("metadata/name", "minimal"))
	if err := server.Client.Create(t.Context(), minimal); err != nil {
		t.Fatal(err)
	}
	deleteAtEnd(t, minimal)
	in := h.in
	in.Relay, in.Region = &v1alpha1.BusinessRelay{}, &v1alpha1.DataRegion{}
	if err := server.Client.Get(t.Context(), client.ObjectKeyFromObject(minimal), in.Relay); err != nil {
		t.Fatal(err)
	}
	if err := server.Client.Get(t.Context(), client.ObjectKey{Name: "eu"}, in.Region); err != nil {
		t.Fatal(err)
	}
	h.tryAll(t, in)
	elsewhere := object(t, relayYAML, all(set("metadata/name", "elsewhere"), set("spec/dataRegion", "na")))
	if err := server.Client.Create(t.Context(), elsewhere); err != nil {
		t.Fatal(err)
	}
	deleteAtEnd(t, elsewhere)
	if err := server.Client.Get(t.Context(), client.ObjectKeyFromObject(elsewhere), in.Relay); err != nil {
		t.Fatal(err)
	}
	if err := server.Client.Get(t.Context(), client.ObjectKey{Name: "na"}, in.Region); err != nil {
		t.Fatal(err)
	}
	h.tryAll(t, in)
}

// withPrivateLinks has a region take links to private hosts, and customers without a number.
func withPrivateLinks(o map[string]any) {
	egress := func(hosts ...any) map[string]any {
		return map[string]any{"hosts": hosts, "to": []any{map[string]any{"podSelector": map[string]any{}}}, "ports": []any{map[string]any{"port": int64(8080)}}}
	}
	all(set("spec/network/privateLinks", []any{egress("files.acme.svc", "10.0.0.9"), egress("media.acme.svc")}), set("spec/carrier/xmpp/customersWithoutNumber", "Allow"))(o)
}

func (h *house) tryAll(t *testing.T, in desired.Input) {
	t.Helper()
	file, hash, err := desired.Config(in)
	if err != nil {
		t.Fatal(err)
	}
	for _, child := range []runtime.ApplyConfiguration{
		desired.RelayPolicy(in), desired.JanitorPolicy(in), desired.ErasePolicy(in), desired.ServiceAccount(in), desired.ConfigMap(in, file), desired.Service(in),
		desired.Claim(in, in.Relay.Spec.Storage.Size), desired.StatefulSet(in, hash), desired.CronJob(in), desired.EraseJob(in), desired.DisruptionBudget(in),
	} {
		if err := h.operator.Apply(t.Context(), child, client.FieldOwner(v1alpha1.FieldManager), client.DryRunAll); err != nil {
			t.Errorf("%T: %v", child, err)
		}
	}
	one := &house{in: in}
	one.render(t)
	for _, pod := range []string{one.relayPod, one.janitorPod} {
		if err := server.Client.Create(t.Context(), object(t, pod, nil), client.DryRunAll); err != nil {
			t.Error(err)
		}
	}
}

// at edits the map at a path; numbers in it index lists.
func at(path string, edit func(map[string]any)) func(map[string]any) {
	return func(o map[string]any) {
		var here any = o
		for step := range strings.SplitSeq(path, "/") {
			if i, err := strconv.Atoi(step); err == nil {
				here = here.([]any)[i]
			} else {
				here = here.(map[string]any)[step]
			}
		}
		edit(here.(map[string]any))
	}
}

// put sets a value at a path; numbers in it index lists, and nil removes.
func put(path string, value any) func(map[string]any) {
	parent, name := "", path
	if i := strings.LastIndex(path, "/"); i >= 0 {
		parent, name = path[:i], path[i+1:]
	}
	edit := func(m map[string]any) {
		if value == nil {
			delete(m, name)
			return
		}
		m[name] = value
	}
	if parent == "" {
		return edit
	}
	return at(parent, edit)
}

// add appends values to the list at a path.
func add(path string, values ...any) func(map[string]any) {
	i := strings.LastIndex(path, "/")
	parent, name := path[:i], path[i+1:]
	return at(parent, func(m map[string]any) {
		list, _ := m[name].([]any)
		m[name] = append(list, values...)
	})
}
