// Package charts tests what the chart renders, with Helm itself.
package charts

import (
	"bytes"
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	podsecurity "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"

	"github.com/relaykeep/relaykeep/test/services/helm"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// program returns the path of Helm, built by test/cluster if it is not yet.
var program = sync.OnceValues(func() (string, error) { return helm.Path(context.Background()) })

// run runs Helm and returns what it printed to each stream.
func run(t *testing.T, args ...string) (out, complaint string, err error) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs Helm")
	}
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	var o, e bytes.Buffer
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Stdout, cmd.Stderr = &o, &e
	err = cmd.Run()
	return o.String(), e.String(), err
}

// written are the templates that are written by hand.
var written = []string{"deployment", "leaderelection", "metricsreader", "networkpolicy", "service", "serviceaccount", "tests/ready"}

// optional are those of them that are rendered only if the values ask for it.
var optional = []string{"dashboard", "poddisruptionbudget", "prometheusrule", "servicemonitor"}

func TestTemplatesRenderAsBefore(t *testing.T) {
	for name, templates := range map[string][]string{
		"default":    written,
		"full":       slices.Concat(written, optional),
		"namespaced": {"deployment", "generated-rbac-role", "servicemonitor", "watchnamespaces"},
		"mesh":       {"deployment", "generated-rbac-role", "servicemonitor"},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"template", "relaykeep", "relaykeep", "--namespace", "relaykeep-system"}
			if name != "default" {
				args = append(args, "--values", filepath.Join("testdata", name+"-values.yaml"))
			}
			for _, template := range templates {
				args = append(args, "--show-only", "templates/"+template+".yaml")
			}
			got, complaint, err := run(t, args...)
			if err != nil {
				t.Fatalf("%v\n%s", err, complaint)
			}
			golden := filepath.Join("testdata", name+".yaml")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-golden +got; rewrite with -update):\n%s", diff)
			}
		})
	}
}

func TestDefinitionsAndPoliciesCanBeLeftToOthers(t *testing.T) {
	with, complaint, err := run(t, "template", "relaykeep", "relaykeep")
	if err != nil {
		t.Fatalf("%v\n%s", err, complaint)
	}
	without, complaint, err := run(t, "template", "relaykeep", "relaykeep", "--set", "crds.install=false", "--set", "admissionPolicies.install=false")
	if err != nil {
		t.Fatalf("%v\n%s", err, complaint)
	}
	for _, kind := range []string{"\nkind: CustomResourceDefinition\n", "\nkind: ValidatingAdmissionPolicy\n"} {
		if !strings.Contains(with, kind) {
			t.Errorf("the default has no %q", kind)
		}
		if strings.Contains(without, kind) {
			t.Errorf("%q is there though it was left out", kind)
		}
	}
	definitions := strings.Count(with, "\nkind: CustomResourceDefinition\n")
	if kept := strings.Count(with, "helm.sh/resource-policy: keep"); kept != definitions {
		t.Errorf("%d of %d definitions are kept on uninstall", kept, definitions)
	}
}

func TestOperatorHasNoVerbOnSecrets(t *testing.T) {
	for _, set := range []string{"replicas=1", "watchNamespaces={acme}"} {
		out, complaint, err := run(t, "template", "relaykeep", "relaykeep", "--set", set)
		if err != nil {
			t.Fatalf("%v\n%s", err, complaint)
		}
		wantNoSecrets(t, out)
	}
}

func wantNoSecrets(t *testing.T, out string) {
	t.Helper()
	for document := range strings.SplitSeq(out, "\n---\n") {
		if strings.Contains(document, "kind: ClusterRole\n") || strings.Contains(document, "kind: Role\n") {
			if strings.Contains(document, "secrets") || strings.Contains(document, `"*"`) || strings.Contains(document, "'*'") {
				t.Errorf("a role covers secrets:\n%s", document)
			}
		}
		if strings.Contains(document, "kind: Secret\n") {
			t.Errorf("the chart makes a Secret:\n%s", document)
		}
	}
}

func TestValuesThatMakeNoSenseAreRefused(t *testing.T) {
	for set, says := range map[string]string{
		"imag.tag=x":                               "imag",
		"replicas=-1":                              "replicas",
		"replicas=many":                            "replicas",
		"log.level=loud":                           "level",
		"image.digest=sha256:abc":                  "digest",
		"leaderElection.leaseDuration=soon":        "leaseDuration",
		"networkPolicy.apiServerPorts={0}":         "apiServerPorts",
		"metrics.port=70000":                       "port",
		"crds.keep=true":                           "keep",
		"admissionPolicies.relayImages={a'b:c}":    "relayImages",
		"admissionPolicies.relayEnvironment={A B}": "relayEnvironment",
		"serviceAccount.annotations.a.b=nest":      "annotations",
		"watchNamespaces={Acme}":                   "watchNamespaces",
		"watchNamespaces={a.b}":                    "watchNamespaces",
		"watchNamespaces={acme,acme}":              "watchNamespaces",
		"watchNamespaces[0]=":                      "watchNamespaces",
		"watchNamespaces=acme":                     "watchNamespaces",
		"metrics.secure=yes":                       "secure",
		"metrics.readers[0].name=prometheus":       "readers",
	} {
		_, complaint, err := run(t, "template", "relaykeep", "relaykeep", "--set", set)
		if err == nil || !strings.Contains(complaint, says) {
			t.Errorf("%s: %v, %s", set, err, complaint)
		}
	}
	if _, complaint, err := run(t, "template", "relaykeep", "relaykeep", "--set", "global.team=a", "--set", "enabled=true"); err != nil {
		t.Errorf("a parent chart's values are refused: %s", complaint)
	}
}

// Somebody who upgrades with --reuse-values has the values of the former release, and none that came since.
func TestChart_TakesTheValuesOfTheReleaseBefore(t *testing.T) {
	out, complaint, err := run(t, "template", "relaykeep", "relaykeep", "--set", "metrics.serviceMonitor.enabled=true", "--set",
		"watchNamespaces=null,metrics.secure=null,metrics.certificateSecretName=null,metrics.readers=null,metrics.serviceMonitor.tokenSecretName=null",
		"--set", "metrics.grafanaDashboard.enabled=true,metrics.grafanaDashboard.labels=null,metrics.grafanaDashboard.annotations=null")
	if err != nil {
		t.Fatalf("%v\n%s", err, complaint)
	}
	for _, want := range []string{"--metrics-secure=true", "scheme: https", "- tokenreviews", "- statefulsets", "name: relaykeep-metrics-reader", `grafana_dashboard: "1"`} {
		if !strings.Contains(out, want) {
			t.Errorf("no %s", want)
		}
	}
}

func TestServiceAccount_OwnIsUsedAndMustBeNamed(t *testing.T) {
	own := []string{"template", "relaykeep", "relaykeep", "--set", "serviceAccount.create=false"}
	if _, complaint, err := run(t, own...); err == nil || !strings.Contains(complaint, "serviceAccount.name must say") {
		t.Errorf("without a name: %v, %s", err, complaint)
	}
	out, complaint, err := run(t, append(own, "--set", "serviceAccount.name=mine")...)
	if err != nil {
		t.Fatalf("%v\n%s", err, complaint)
	}
	if strings.Contains(out, "\nkind: ServiceAccount\n") || !strings.Contains(out, "serviceAccountName: mine") {
		t.Error("the account is made, or another one is used")
	}
}

func TestSecurityContext_NoUserWhereTheClusterAssignsOne(t *testing.T) {
	out, complaint, err := run(t, "template", "relaykeep", "relaykeep", "--show-only", "templates/deployment.yaml",
		"--set", "podSecurityContext.runAsUser=null,podSecurityContext.runAsGroup=null,podSecurityContext.fsGroup=null")
	if err != nil {
		t.Fatalf("%v\n%s", err, complaint)
	}
	if strings.Contains(out, "65532") || !strings.Contains(out, "runAsNonRoot: true") {
		t.Errorf("rendered:\n%s", out)
	}
}

func TestPoliciesNameTheInstalledAccountAndImages(t *testing.T) {
	out, complaint, err := run(t, "template", "keeper", "relaykeep", "--namespace", "keepers", "--set", "relayImage.tag=v2",
		"--set", "admissionPolicies.relayImages={registry.example.org:5000/relay:v1}", "--set", "admissionPolicies.relayEnvironment={CLOCK}")
	if err != nil {
		t.Fatalf("%v\n%s", err, complaint)
	}
	for _, want := range []string{
		`system:serviceaccount:keepers:keeper-relaykeep-manager`,
		`"['ghcr.io/relaykeep/relay:v2', 'registry.example.org:5000/relay:v1']"`, `"['CLOCK']"`,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %s", want)
		}
	}
	for _, left := range []string{"relaykeep-system", "relay:dev", "dyn([])"} {
		if strings.Contains(out, left) {
			t.Errorf("%s was not filled in", left)
		}
	}
	plain, complaint, err := run(t, "template", "relaykeep", "relaykeep")
	if err != nil || !strings.Contains(plain, `"dyn([])"`) {
		t.Errorf("by default relays may have an environment: %v, %s", err, complaint)
	}
}

func TestChartPassesLint(t *testing.T) {
	if out, complaint, err := run(t, "lint", "--strict", "relaykeep"); err != nil {
		t.Errorf("%v\n%s%s", err, out, complaint)
	}
}

// TestHelmTest_PodSatisfiesTheRestrictedStandard asks the evaluator that the API server asks, of the pod with the default values.
func TestHelmTest_PodSatisfiesTheRestrictedStandard(t *testing.T) {
	out, complaint, err := run(t, "template", "relaykeep", "relaykeep", "--namespace", "relaykeep-system", "--show-only", "templates/tests/ready.yaml")
	if err != nil {
		t.Fatalf("%v\n%s", err, complaint)
	}
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for document := range strings.SplitSeq(out, "\n---\n") {
		var pod corev1.Pod
		if err := yaml.Unmarshal([]byte(document), &pod); err != nil {
			t.Fatal(err)
		}
		if pod.Kind != "Pod" {
			continue
		}
		found = true
		restricted := podsecurity.LevelVersion{Level: podsecurity.LevelRestricted, Version: podsecurity.LatestVersion()}
		for _, result := range evaluator.EvaluatePod(restricted, &pod.ObjectMeta, &pod.Spec) {
			if !result.Allowed {
				t.Errorf("%s: %s", result.ForbiddenReason, result.ForbiddenDetail)
			}
		}
		if token := pod.Spec.AutomountServiceAccountToken; token == nil || *token {
			t.Error("it has a token")
		}
		if pod.Annotations["helm.sh/hook"] != "test" {
			t.Error("it is no test of Helm's")
		}
	}
	if !found {
		t.Error("there is no pod")
	}
}
