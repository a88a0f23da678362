package controllers_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/relaykeep/relaykeep/test/services/helm"
)

// Where the chart is installed, and the operator's account there.
const (
	chartNamespace = "relaykeep-system"
	chartAccount   = "relaykeep-manager"
)

// decode reads all objects of a manifest.
func decode(t *testing.T, manifest []byte) (all []*unstructured.Unstructured) {
	t.Helper()
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifest), 4096)
	for {
		o := &unstructured.Unstructured{}
		err := decoder.Decode(&o.Object)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(o.Object) > 0 {
			all = append(all, o)
		}
	}
}

// roleKinds are the kinds that grant something.
func roleKinds() []string {
	return []string{"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}
}

// helmProgram returns the path of Helm.
var helmProgram = sync.OnceValues(func() (string, error) { return helm.Path(background()) })

// chart renders the chart with Helm's own arguments, for example --set watchNamespaces={acme}.
func chart(t *testing.T, args ...string) []*unstructured.Unstructured {
	t.Helper()
	onServer(t)
	program, err := helmProgram()
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := helm.Template(t.Context(), program, args...)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, manifest)
}

// withServer are arguments that have Helm look at the API server while it renders, as in an installation. The definitions
// are there, and are not Helm's.
func withServer(t *testing.T) []string {
	t.Helper()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, server.Kubeconfig(), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"--dry-run=server", "--kubeconfig", kubeconfig, "--set", "crds.install=false"}
}

// install installs objects of the given kinds until the test ends, and the operator's namespace.
func install(t *testing.T, all []*unstructured.Unstructured, kinds ...string) {
	t.Helper()
	makeNamespaces(t, chartNamespace)
	for _, o := range all {
		if !slices.Contains(kinds, o.GetKind()) {
			continue
		}
		if err := server.Client.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := client.IgnoreNotFound(server.Client.Delete(background(), o)); err != nil {
				t.Error(err)
			}
		})
	}
}

// makeNamespaces makes those that are not there yet. They stay.
func makeNamespaces(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		err := server.Client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
		if client.IgnoreAlreadyExists(err) != nil {
			t.Fatal(err)
		}
	}
}

// as returns a configuration of a service account with what its bindings give it.
func as(namespace, account string) *rest.Config {
	cfg := rest.CopyConfig(server.Config)
	cfg.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + namespace + ":" + account,
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace, "system:authenticated"},
	}
	return cfg
}
