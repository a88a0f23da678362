package command

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
)

// now is the time in these tests.
func now() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) }

func condition(kind string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message, LastTransitionTime: metav1.NewTime(now().Add(-90 * time.Minute))}
}

// patients are relays and a region, in a cluster in memory: one relay is well, one has troubles.
func patients(t *testing.T) ([]v1alpha1.BusinessRelay, client.Client) {
	t.Helper()
	well, region := acme()
	well.CreationTimestamp = metav1.NewTime(now().Add(-48 * time.Hour))
	well.Status.Region = v1alpha1.RegionStatus{Name: "eu", Countries: []v1alpha1.CountryCode{"DE", "FR"}, Node: "eu-1", Volume: v1alpha1.VolumeVerified}
	well.Status.Quality = "GREEN"
	well.Status.Image = "ghcr.io/relaykeep/relay@sha256:0011"
	well.Status.Retention.OldestKeyTime = new(metav1.NewTime(now().Add(-72 * time.Hour)))
	well.Status.Conditions = []metav1.Condition{
		condition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady, "the relay receives, delivers and sends messages"),
		condition(v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonUpdateWaiting, "the update waits for its turn"),
		condition(v1alpha1.ConditionKeysReady, metav1.ConditionTrue, "Ready", "it has its keys"),
	}
	ill := well.DeepCopy()
	ill.Namespace, ill.Name = "shops", "initech"
	ill.Status = v1alpha1.BusinessRelayStatus{Conditions: []metav1.Condition{
		condition(v1alpha1.ConditionReady, metav1.ConditionFalse, "VaultSealed", "Vault is sealed: unseal it\x1b[2J"),
		condition(v1alpha1.ConditionPlaced, metav1.ConditionTrue, v1alpha1.ReasonPlaced, "it has a node"),
		condition(v1alpha1.ConditionKeysReady, metav1.ConditionFalse, "VaultSealed", "Vault is sealed: unseal it\x1b[2J"),
		condition(v1alpha1.ConditionRetentionHealthy, metav1.ConditionFalse, v1alpha1.ReasonOverdue, "two runs were missed"),
		condition(v1alpha1.ConditionWebhookVerified, metav1.ConditionFalse, "SomethingNew", "a later relay says so"),
	}}
	region.Status.Conditions = []metav1.Condition{
		condition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady, "it can take relays"),
		condition(v1alpha1.ConditionKeeperHealthy, metav1.ConditionFalse, v1alpha1.ReasonOverdue, "the keeper did not run"),
	}
	asleep := well.DeepCopy()
	asleep.Namespace, asleep.Name = "shops", "asleep"
	asleep.Status = v1alpha1.BusinessRelayStatus{Conditions: []metav1.Condition{
		condition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSuspended, "the relay is stopped by spec.suspend"),
		condition(v1alpha1.ConditionKeysReady, metav1.ConditionUnknown, v1alpha1.ReasonNotReported, "no pod of the relay is running"),
	}}
	unseen := &v1alpha1.BusinessRelay{ObjectMeta: metav1.ObjectMeta{Namespace: "shops", Name: "new"}, Spec: v1alpha1.BusinessRelaySpec{DataRegion: "nowhere"}}
	region.Spec.StorageClassName = "standard"
	class := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "standard"}}
	return []v1alpha1.BusinessRelay{*well, *ill, *unseen, *asleep}, inMemory(t, well, ill, unseen, asleep, region, class, aNode("eu-1", func(*corev1.Node) {}))
}

// inMemory is a cluster with some objects, in memory.
func inMemory(t *testing.T, objects ...client.Object) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	check(t, clientgoscheme.AddToScheme(scheme))
	check(t, v1alpha1.AddToScheme(scheme))
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithIndex(&v1alpha1.BusinessRelay{}, v1alpha1.FieldDataRegion, func(o client.Object) []string {
			return []string{string(o.(*v1alpha1.BusinessRelay).Spec.DataRegion)}
		}).Build()
}

func TestStatus(t *testing.T) {
	relays, _ := patients(t)
	rotating := relays[0].DeepCopy()
	rotating.Spec.Rotation, rotating.Status.Rotation = v1alpha1.Rotation{Identity: 2, Access: 3}, v1alpha1.RotationStatus{Identity: 2, Access: 1}
	var asleep v1alpha1.BusinessRelay
	for _, r := range relays {
		if r.Name == "asleep" {
			asleep = r
		}
	}
	for name, tt := range map[string]struct {
		output string
		relays []v1alpha1.BusinessRelay
		one    bool
	}{
		"one.txt":      {"text", relays[:1], true},
		"ill.txt":      {"text", relays[1:2], true},
		"asleep.txt":   {"text", []v1alpha1.BusinessRelay{asleep}, true},
		"rotating.txt": {"text", []v1alpha1.BusinessRelay{*rotating}, true},
		"all.txt":      {"text", relays, false},
		"none.txt":     {"text", nil, false},
		"all.yaml":     {"yaml", relays, false},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			f := statusFlags{output: tt.output}
			check(t, f.print(t.Context(), &out, tt.relays, tt.one, now()))
			golden(t, "status/"+name, out.String())
			if strings.Contains(out.String(), relays[0].Spec.PhoneNumber) {
				t.Error("it shows a telephone number")
			}
		})
	}
	var out bytes.Buffer
	f := statusFlags{output: "json"}
	check(t, f.print(t.Context(), &out, relays, false, now()))
	var read []relayState
	if err := json.Unmarshal(out.Bytes(), &read); err != nil || len(read) != len(relays) || !read[0].Ready {
		t.Errorf("as JSON it is %s: %v", out.String(), err)
	}
}

func TestStatus_ReadsOneOrAllOfANamespace(t *testing.T) {
	_, k := patients(t)
	for _, tt := range []struct {
		namespace, name string
		all             bool
		want            int
	}{{"shops", "initech", false, 1}, {"shops", "", false, 3}, {"shops", "", true, 4}} {
		var out bytes.Buffer
		f := statusFlags{output: "json", allNamespaces: tt.all}
		check(t, f.show(t.Context(), &out, k, tt.namespace, tt.name))
		var read []relayState
		if err := json.Unmarshal(out.Bytes(), &read); err != nil || len(read) != tt.want {
			t.Errorf("of %q in %q, all %t: %d relays, want %d: %v", tt.name, tt.namespace, tt.all, len(read), tt.want, err)
		}
	}
	f := statusFlags{output: "text"}
	if err := f.show(t.Context(), &bytes.Buffer{}, k, "shops", "none"); err == nil || !strings.Contains(err.Error(), "there is no BusinessRelay none") {
		t.Errorf("of a relay that is not there: %v", err)
	}
}

func TestDoctor(t *testing.T) {
	_, k := patients(t)
	for name, tt := range map[string]struct{ namespace, name, err string }{
		"all.txt":  {"", "", "6 problems found with 4 relays and 2 regions"},
		"one.txt":  {"acme", "acme", "1 problem found with 1 relay and 1 region"},
		"none.txt": {"empty", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			err := examine(t.Context(), &out, examiner{k, now(), nil}, tt.namespace, tt.name)
			if (err == nil) != (tt.err == "") || err != nil && err.Error() != tt.err {
				t.Errorf("the error is %v, want %q", err, tt.err)
			}
			golden(t, "doctor/"+name, out.String())
		})
	}
}

// reasons are the values of the constants of a package that begin with Reason.
func reasons(t *testing.T, dir string) (found []string) {
	t.Helper()
	check(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(spec.Names[0].Name, "Reason") && len(spec.Values) == 1 {
				if value, ok := spec.Values[0].(*ast.BasicLit); ok {
					if text, err := strconv.Unquote(value.Value); err == nil {
						found = append(found, text)
					}
				}
			}
			return true
		})
		return nil
	}))
	return found
}

// TestDoctor_KnowsWhatToDo: each reason of the operator that is a trouble has a command of its own, and each reason that has
// one exists.
func TestDoctor_KnowsWhatToDo(t *testing.T) {
	fine := " Ready Suspended Placed OnTime NoLeftovers AwaitingFirstRun NotConfigured EndsInRelay EndsAtGateway Routed AwaitingNumberID Reached NobodyTells ChildChanged NetworkPolicyChanged "
	for _, reason := range reasons(t, "../../../../api/v1alpha1") {
		if _, err := remedyFor(reason); err != nil && !strings.Contains(fine, " "+reason+" ") {
			t.Errorf("%s: %v", reason, err)
		}
	}
	known := strings.Join(reasons(t, "../../../../relay"), " ") + " "
	source, err := os.ReadFile("remedy.go")
	check(t, err)
	_, reported, _ := strings.Cut(string(source), "func reportedRemedy")
	for _, line := range strings.Split(reported, "\n") {
		names, isCase := strings.CutPrefix(strings.TrimSpace(line), "case ")
		for name := range strings.SplitSeq(strings.TrimSuffix(names, ":"), ", ") {
			if name = strings.TrimPrefix(strings.Trim(name, `",`), "v1alpha1.Reason"); isCase && !strings.Contains(known, name+" ") {
				t.Errorf("no relay reports %s", name)
			}
		}
	}
}
