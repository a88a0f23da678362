package build

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const committed = "../../binaries"

func TestPrograms_HaveTheirBuildFiles(t *testing.T) {
	for _, s := range Catalogue() {
		if _, err := Key(s, committed, "go"); err != nil {
			t.Errorf("%s: %v", s.Name, err)
		}
		_, err := os.Stat(filepath.Join(committed, s.Name, "main.go"))
		if own := err == nil; own != (s.Package == "") {
			t.Errorf("%s is built from %q but has a main.go: %v", s.Name, s.Package, own)
		}
		// The go command names a program after the last element of its package's path.
		if got := path.Base(s.path()); got != s.Name {
			t.Errorf("%s is called %s when it is built", s.Name, got)
		}
	}
}

func TestPrograms_HaveTheVersionThatTheirModuleRequires(t *testing.T) {
	// The module whose version the program's is, where that is not the one of its package.
	modules := map[string]string{
		"kubernetes": "k8s.io/kubernetes", "vault": "github.com/hashicorp/vault", "coredns": "github.com/coredns/coredns",
		"etcd": "go.etcd.io/etcd/server/v3", "helm": "helm.sh/helm/v4", "kube-router": "github.com/k3s-io/kube-router/v2",
		"vault-plugin-auth-kubernetes": "github.com/hashicorp/vault-plugin-auth-kubernetes",
	}
	content, err := os.ReadFile(filepath.Join(committed, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range Catalogue() {
		if module, ok := modules[s.Name]; ok && !strings.Contains(string(content), module+" "+s.Version+"\n") {
			t.Errorf("%s says %s, which go.mod does not require", s.Name, s.Version)
		}
	}
}

func TestNamesAreUniqueAndFound(t *testing.T) {
	names := Names()
	if unique := slices.Compact(slices.Clone(names)); len(unique) != len(names) {
		t.Errorf("%v has a name twice", names)
	}
	for _, s := range Sets() {
		for _, member := range s.Members {
			if _, err := Find(member); err != nil {
				t.Errorf("%s: %v", s.Name, err)
			}
		}
	}
	for name, want := range map[string]string{"kubectl": "kubernetes", "kubernetes-auth": "vault-plugin-auth-kubernetes", "etcd": "etcd"} {
		if s, err := Find(name); err != nil || s.Name != want {
			t.Errorf("%s is of %s, %v; want %s", name, s.Name, err, want)
		}
	}
	if _, err := Find("kubernet"); err == nil || !strings.Contains(err.Error(), "vault") {
		t.Errorf("an unknown name is answered with %v", err)
	}
}
