package admission

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/desired"
	"github.com/relaykeep/relaykeep/controllers/internal/testenv"
	"github.com/relaykeep/relaykeep/test/repository"
)

// static is the folder with the policies for API servers that read them from files.
const static = "config/admission-static"

// onStaticServer has the test run on an API server of its own, which reads the policies from files. It has none as
// objects.
func onStaticServer(t *testing.T) {
	t.Helper()
	s, err := testenv.StartStatic(t.Context(), static)
	if err != nil {
		t.Fatal(err)
	}
	shared := server
	server = s
	t.Cleanup(func() {
		server = shared
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestStaticPolicies_HoldWithoutAnObject tries one thing that each policy of the folder stops, on an API server that has
// it from a file.
func TestStaticPolicies_HoldWithoutAnObject(t *testing.T) {
	onStaticServer(t)
	h := &house{in: desired.Input{Relay: &v1alpha1.BusinessRelay{}, Region: &v1alpha1.DataRegion{}, RelayImage: relayImage, OperatorNamespace: "relaykeep-system"}}
	parse(t, relayYAML, h.in.Relay)
	parse(t, regionYAML, h.in.Region)
	h.in.Relay.UID = "1"
	h.render(t)
	cfg := rest.CopyConfig(server.Config)
	cfg.Impersonate = rest.ImpersonationConfig{UserName: operatorUser, Groups: []string{"system:masters"}}
	operator, err := client.New(cfg, client.Options{Scheme: testenv.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	tn := newTenant(t)
	if err := server.Client.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "acme-relay"}}); err != nil {
		t.Fatal(err)
	}
	clerk := userWho(t, "clerk", rbacv1.PolicyRule{APIGroups: []string{"relaykeep.dev"}, Resources: []string{"businessrelays"}, Verbs: []string{"get", "patch"}})
	erased := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"relaykeep.dev/erased":"true"}}}`))
	for policy, refused := range map[string]error{
		"relaykeep-configuration-region": server.Client.Create(t.Context(), object(t, h.configuration, insert(evilVault)), client.DryRunAll),
		"relaykeep-erased":               clerk.Patch(t.Context(), tn.relay.DeepCopy(), erased, client.DryRunAll),
		"relaykeep-operator":             operator.Create(t.Context(), object(t, operatorsMap, set("metadata/labels", nil)), client.DryRunAll),
		"relaykeep-region-binding":       server.Client.Create(t.Context(), object(t, podYAML, set("spec/nodeSelector", nil)), client.DryRunAll),
		"relaykeep-tokens":               requestToken(t, server.Config, "relaykeep.dev/relay/eu"),
		"relaykeep-workloads":            server.Client.Create(t.Context(), object(t, h.relayPod, image("spec", "evil")), client.DryRunAll),
	} {
		wantRefusal(t, refused, "'"+policy+".static.k8s.io'")
	}
	for name, err := range map[string]error{
		"a relay's pod":      server.Client.Create(t.Context(), object(t, h.relayPod, nil), client.DryRunAll),
		"a janitor's pod":    server.Client.Create(t.Context(), object(t, h.janitorPod, nil), client.DryRunAll),
		"the operator's set": operator.Create(t.Context(), object(t, h.statefulSet, nil), client.DryRunAll),
		"a configuration":    operator.Create(t.Context(), object(t, h.configuration, nil), client.DryRunAll),
	} {
		if err != nil {
			t.Errorf("%s is refused: %v", name, err)
		}
	}
	policies := &admissionregistrationv1.ValidatingAdmissionPolicyList{}
	if err := server.Client.List(t.Context(), policies); err != nil || len(policies.Items) > 0 {
		t.Errorf("there are %d policies that somebody could delete, %v", len(policies.Items), err)
	}
}

// TestStaticPolicies_AreAllThatCanBe holds that a policy is in the folder, under the name that such a file's must have,
// exactly if it has no parameters.
func TestStaticPolicies_AreAllThatCanBe(t *testing.T) {
	const suffix = ".static.k8s.io"
	are := map[string]bool{}
	for _, o := range documents(t, "config", "admission-static") {
		if !strings.HasSuffix(o.GetName(), suffix) {
			t.Errorf("an API server does not read %s", o.GetName())
		}
		are[o.GetKind()+" "+strings.TrimSuffix(o.GetName(), suffix)] = true
	}
	parameters := map[string]bool{}
	all := documents(t, "config", "admission")
	for _, o := range all {
		if kind, _, _ := unstructured.NestedFieldNoCopy(o.Object, "spec", "paramKind"); kind != nil {
			parameters[o.GetName()] = true
		}
	}
	for _, o := range all {
		policy := o.GetName()
		if of, _, _ := unstructured.NestedString(o.Object, "spec", "policyName"); of != "" {
			policy = of
		}
		if is := are[o.GetKind()+" "+o.GetName()]; is == parameters[policy] {
			t.Errorf("%s %s is in the folder: %v, and has parameters: %v", o.GetKind(), o.GetName(), is, parameters[policy])
		}
	}
}

// TestStaticPolicies_NamesAreReserved is why nobody can put an object in the place of a file's policy.
func TestStaticPolicies_NamesAreReserved(t *testing.T) {
	err := server.Client.Create(t.Context(), &admissionregistrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "relaykeep-tokens.static.k8s.io"},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionregistrationv1.MatchResources{ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{
				RuleWithOperations: admissionregistrationv1.RuleWithOperations{
					Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
					Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
				},
			}}},
			Validations: []admissionregistrationv1.Validation{{Expression: "true"}},
		},
	}, client.DryRunAll)
	wantRefusal(t, err, ".static.k8s.io")
}

// TestStaticPolicies_AreFilledInAsTheirReadmeSays runs the commands with which an admin puts the cluster's values in.
func TestStaticPolicies_AreFilledInAsTheirReadmeSays(t *testing.T) {
	root, err := repository.Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, static, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, commands, found := strings.Cut(string(text), "```sh\n")
	commands, _, closed := strings.Cut(commands, "```")
	if !found || !closed {
		t.Fatal("there are no commands")
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", strings.ReplaceAll(commands, "/etc/kubernetes/relaykeep", dir))
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var all strings.Builder
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil || len(files) != 6 {
		t.Fatalf("there are %d files, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	for _, left := range []string{operatorUser, relayImage} {
		if strings.Contains(all.String(), left) {
			t.Errorf("%s was not replaced", left)
		}
	}
	for _, want := range []string{"'system:serviceaccount:NAMESPACE:ACCOUNT'", `"['ghcr.io/relaykeep/relay:VERSION', 'ghcr.io/relaykeep/relay:FORMER']"`} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("no %s", want)
		}
	}
}
