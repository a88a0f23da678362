package admission

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/api/v1alpha1"
	"github.com/relaykeep/relaykeep/controllers/internal/testenv"
	"github.com/relaykeep/relaykeep/test/repository"
)

// documents reads every object of a folder of this repository.
func documents(t *testing.T, elements ...string) []*unstructured.Unstructured {
	t.Helper()
	pattern, err := repository.File(append(elements, "*.yaml")...)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no file matches %s: %v", pattern, err)
	}
	var all []*unstructured.Unstructured
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096)
		for {
			u := &unstructured.Unstructured{}
			err := decoder.Decode(&u.Object)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if len(u.Object) > 0 {
				all = append(all, u)
			}
		}
	}
	return all
}

// eu is a region with a placement, na one without. Relays may move from eu to both others, of which eu2 has another carrier.
// Another was just made, and the operator has not seen it: it must not be in the others' way.
func makeRegions(t *testing.T) {
	t.Helper()
	unseen := object(t, regionYAML, set("metadata/name", "unseen"))
	if err := server.Client.Create(t.Context(), unseen); err != nil {
		t.Fatal(err)
	}
	deleteAtEnd(t, unseen)
	for _, o := range []*unstructured.Unstructured{
		object(t, regionYAML, all(set("spec/placement/nodeSelector", map[string]any{"disk": "encrypted"}), set("spec/moves/to", []any{"na", "eu2", "zz"}), set("spec/moves/from", []any{"na"}))),
		object(t, regionYAML, all(set("metadata/name", "eu2"), set("spec/vault/address", "https://vault.eu2.example.org:8200"), set("spec/carrier/xmpp/domain", "other.example.org"), set("spec/moves/from", []any{"eu"}))),
		object(t, regionYAML, all(set("metadata/name", "na"), set("spec/vault/address", "https://vault.na.example.org:8200"), set("spec/type", "NA"), set("spec/storageClassName", "relaykeep-na"), set("spec/pods/hostUsers", false), set("spec/moves/from", []any{"eu"}), withPrivateLinks)),
	} {
		if err := server.Client.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		deleteAtEnd(t, o)
		// As the operator notes it.
		o.Object["status"] = map[string]any{"observedGeneration": int64(1), "regions": []any{"eu", "eu2", "na"}}
		if err := server.Client.Status().Update(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
}

// installPolicies installs config/admission and waits until it is enforced.
func installPolicies(t *testing.T) {
	t.Helper()
	for _, o := range documents(t, "config", "admission") {
		if err := server.Client.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		deleteAtEnd(t, o)
	}
	var bound, placed, token error
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) {
		bound = server.Client.Create(t.Context(), object(t, podYAML, set("spec/nodeSelector", nil)), client.DryRunAll)
		placed = server.Client.Create(t.Context(), object(t, claimYAML, set("spec/storageClassName", "other")), client.DryRunAll)
		token = requestToken(t, server.Config, "relaykeep.dev/relay/eu")
		return bound != nil && placed != nil && token != nil, nil
	})
	if err != nil {
		t.Fatalf("the policies are not enforced in time: %v, %v, %v", bound, placed, token)
	}
}

const podYAML = `
apiVersion: v1
kind: Pod
metadata: {name: acme-relay-0, namespace: default, labels: {relaykeep.dev/region: eu}}
spec:
  nodeSelector: {node-restriction.kubernetes.io/relaykeep-region: eu, disk: encrypted}
  containers: [{name: relay, image: relay}]
`

const claimYAML = `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: acme-relay, namespace: default, labels: {relaykeep.dev/region: eu}}
spec:
  storageClassName: relaykeep-eu
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 1Gi}}
`

func selector(labels ...string) func(map[string]any) {
	m := map[string]any{}
	for i := 0; i < len(labels); i += 2 {
		m[labels[i]] = labels[i+1]
	}
	return set("spec/nodeSelector", m)
}

const nodeRegion = "node-restriction.kubernetes.io/relaykeep-region"

func labelled(region string) func(map[string]any) {
	return set("metadata/labels", map[string]any{"relaykeep.dev/region": region})
}

func testPodPolicies(t *testing.T) {
	unlabelled := all(set("metadata/labels", nil), set("spec/nodeSelector", nil))
	rules := []rule{
		{"no region's nodes", none, selector("disk", "encrypted"), "must select that region's nodes"}, // one policy alone refuses it: of two, either answers
		{"another region's nodes", none, selector(nodeRegion, "na", "disk", "encrypted"), "must select that region's nodes"},
		{"without the region's placement", none, selector(nodeRegion, "eu"), "placement.nodeSelector"},
		{"with another placement", none, selector(nodeRegion, "eu", "disk", "plain"), "placement.nodeSelector"},
		{"a region without placement", all(labelled("na"), selector(nodeRegion, "na")), all(labelled("na"), selector(nodeRegion, "eu", "disk", "encrypted")), "must select that region's nodes"},
		{"a region that nobody made", none, all(labelled("zz"), selector(nodeRegion, "zz")), "there is no DataRegion zz"},
		{"past the scheduler", unlabelled, set("spec/nodeName", "na-1"), "placed by the scheduler"},
	}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) { r.testCreate(t, podYAML) })
	}
}

func testClaimPolicies(t *testing.T) {
	rules := []rule{
		{"another class", none, set("spec/storageClassName", "relaykeep-na"), "must be of its StorageClass relaykeep-eu"},
		{"no class", none, set("spec/storageClassName", nil), "must be of its StorageClass relaykeep-eu"},
		{"of a region that nobody made", none, labelled("zz"), "there is no DataRegion zz"},
		{"of another region", all(labelled("na"), set("spec/storageClassName", "relaykeep-na")), labelled("na"), "must be of its StorageClass relaykeep-na"},
	}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) { r.testCreate(t, claimYAML) })
	}
	// Each claim has its own name: one that is deleted stays until its volume's
	// protection, a controller that is not here, lets it go.
	own := func() func(map[string]any) { return set("metadata/name", strings.ToLower(rand.Text())) }
	unlabelled := set("metadata/labels", nil)
	changes := []struct {
		before func(map[string]any)
		rule
	}{
		{own(), rule{"label changed", set("metadata/labels/team", "blue"), labelled("na"), "cannot be added, changed or removed"}},
		{own(), rule{"label removed", none, unlabelled, "cannot be added, changed or removed"}},
		{all(unlabelled, own()), rule{"label added", none, labelled("eu"), "cannot be added, changed or removed"}},
	}
	for _, c := range changes {
		t.Run(c.name, func(t *testing.T) { c.testUpdate(t, claimYAML, c.before) })
	}
}

// requestToken asks for a token as the user of cfg.
func requestToken(t *testing.T, cfg *rest.Config, audiences ...string) error {
	t.Helper()
	c, err := client.New(cfg, client.Options{Scheme: testenv.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "acme-relay"}}
	return c.SubResource("token").Create(t.Context(), account,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences}}, client.DryRunAll)
}

func testTokenPolicy(t *testing.T) {
	node := rest.CopyConfig(server.Config)
	node.Impersonate = rest.ImpersonationConfig{UserName: "somebody", Groups: []string{"system:nodes", "system:masters"}}
	const says = "for pods only"
	for _, audience := range []string{
		"relaykeep.dev/relay/eu", "relaykeep.dev/janitor/eu", "relaykeep.dev/keeper/eu", // a region's
		"relaykeep.dev/relay", "relaykeep.dev/janitor", "relaykeep.dev/credentials", // a former release's
		"relaykeep.dev/", "relaykeep.dev/x", "relaykeep.dev/x/eu", "relaykeep.dev/credentials/", "relaykeep.dev/credentials/eu/x", // nobody's
	} {
		wantRefusal(t, requestToken(t, server.Config, audience), says)
		wantRefusal(t, requestToken(t, server.Config, "relaykeep.dev/credentials/eu", audience), says)
		wantRefusal(t, requestToken(t, server.Config, "somebody", audience), says)
		if err := requestToken(t, node, audience); err != nil {
			t.Errorf("a node is refused a token for %s: %v", audience, err)
		}
	}
	for _, audience := range []string{"relaykeep.dev/credentials/eu", "relaykeep.dev/credentials/na", "somebody"} {
		if err := requestToken(t, server.Config, audience); err != nil {
			t.Errorf("a token for %s is refused: %v", audience, err)
		}
	}
	wantRefusal(t, requestToken(t, server.Config, "relaykeep.dev/credentials/eu", "somebody"), says)
}

// testWorkloadPolicies tests what holds tokens for Vault, and the operator.
func testWorkloadPolicies(t *testing.T) {
	h := newHouse(t)
	t.Run("what the operator makes", h.testOperatorsOwn)
	t.Run("the operator at work", h.testOperatorAtWork)
	t.Run("pods of relays", func(t *testing.T) { testRules(t, server.Client, h.relayPod, relayPodRules()) })
	t.Run("pods of janitors", func(t *testing.T) { testRules(t, server.Client, h.janitorPod, janitorPodRules()) })
	t.Run("pods of janitors that former releases left behind", func(t *testing.T) { testRules(t, server.Client, h.formerPod(t), formerPodRules()) })
	t.Run("keepers", h.testKeepers)
	t.Run("pods that run", h.testRunningPod)
	t.Run("StatefulSets of the operator", func(t *testing.T) { testRules(t, h.operator, h.statefulSet, statefulSetRules()) })
	t.Run("Jobs of the operator", func(t *testing.T) { testRules(t, h.operator, h.job, jobRules()) })
	t.Run("CronJobs of the operator", func(t *testing.T) { testRules(t, h.operator, h.cronJob, cronJobRules()) })
	t.Run("the operator elsewhere", h.testElsewhere)
	t.Run("the operator's own kinds", h.testOwnKinds)
	t.Run("that keys are erased", h.testErased)
	t.Run("configurations", func(t *testing.T) { testRules(t, server.Client, h.configuration, configurationRules()) })
	t.Run("ConfigMaps of others", h.testForeignMaps)
	t.Run("configurations that exist", h.testConfigurationUpdate)
	t.Run("stores in databases", h.testDatabase)
}

func TestAdmission_BindsPodsClaimsAndTokensToTheirRegion(t *testing.T) {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{
		Namespace: "default", Name: "acme-relay", Labels: map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy},
	}}
	if err := server.Client.Create(t.Context(), account); err != nil {
		t.Fatal(err)
	}
	deleteAtEnd(t, account)
	makeRegions(t)
	installPolicies(t)
	t.Run("pods", testPodPolicies)
	t.Run("claims", testClaimPolicies)
	t.Run("tokens", testTokenPolicy)
	t.Run("protection", testProtection)
	t.Run("moves", testMoves)
	t.Run("entering", testEntering)
	t.Run("the shared host", testSharedHost)
	t.Run("workloads", testWorkloadPolicies)
}

func TestSamplesApplyAsTheyAre(t *testing.T) {
	for _, o := range append(documents(t, "config", "samples"), documents(t, "config", "samples", "clouds")...) {
		if ns := o.GetNamespace(); ns != "" {
			// It stays: the controller that lets a deleted namespace go is not here.
			err := server.Client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}})
			if client.IgnoreAlreadyExists(err) != nil {
				t.Fatal(err)
			}
		}
		err := server.Client.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(o), client.FieldOwner("admin"), client.DryRunAll)
		if err != nil {
			t.Errorf("%s %s: %v", o.GetKind(), o.GetName(), err)
		}
	}
}
