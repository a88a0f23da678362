// Package build makes the programs that the cluster is put together from, from source and out of Go's module cache alone, and
// keeps them in a cache outside the repository. It knows how to build a program, and nothing about how one is run.
package build

import (
	"fmt"
	"slices"
	"strings"
)

// Spec says how one program is built. Its build files (go.mod, go.sum and where needed a main.go) are in binaries/<Name>.
type Spec struct {
	// Name is what the program is called by on the command line and in the cache.
	Name string
	// Version is the upstream's version, for people: the hash of the build's inputs tells two builds apart.
	Version string
	// Package is the import path of the main package, "." when binaries/<Name> has its own main.go.
	Package string
	// Tags are the build tags.
	Tags []string
	// Variables are set by the linker, as import/path.name=value.
	Variables []string
	// Links are further file names of the program, for one that acts as the name that it is called by.
	Links []string
}

// Set is a directory of links to built programs, for tools that look for several in one place.
type Set struct {
	// Name is what the set is asked for by on the command line.
	Name string
	// Members are names of programs or of their links.
	Members []string
}

const kubernetesVersion = "v1.37.1"

// Catalogue returns every program, in the order in which they are best built: those that others wait for come first.
func Catalogue() []Spec {
	component := "k8s.io/component-base/version."
	return []Spec{
		{Name: "pause", Version: "v1", Package: "."},
		{Name: "probe", Version: "v1", Package: "."},
		{Name: "etcd", Version: "v3.6.16", Package: "go.etcd.io/etcd/server/v3"},
		{
			Name: "vault-plugin-auth-kubernetes", Version: "v0.21.0",
			Package: "github.com/hashicorp/vault-plugin-auth-kubernetes/cmd/vault-plugin-auth-kubernetes",
			// Vault names a plugin by its file.
			Links: []string{"kubernetes-auth"},
		},
		{Name: "coredns", Version: "v1.15.0", Package: "."},
		{
			Name: "kube-router", Version: "v2.2.1", Package: "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router",
		},
		{Name: "local-path-provisioner", Version: "v0.0.30", Package: "github.com/rancher/local-path-provisioner"},
		{Name: "helm", Version: "v4.3.1", Package: "helm.sh/helm/v4/cmd/helm"},
		{Name: "vault", Version: "v1.19.5", Package: ".", Tags: []string{"minimal"}},
		{
			Name: "kubernetes", Version: kubernetesVersion, Package: ".",
			Variables: []string{
				component + "gitVersion=" + kubernetesVersion, component + "gitMajor=1", component + "gitMinor=37",
				component + "gitTreeState=clean",
			},
			Links: []string{
				"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl",
			},
		},
	}
}

// Sets returns every set.
func Sets() []Set {
	return []Set{{Name: "envtest", Members: []string{"etcd", "kube-apiserver", "kubectl"}}}
}

// Find returns the program that name is the name or a link of.
func Find(name string) (Spec, error) {
	for _, s := range Catalogue() {
		if s.Name == name || slices.Contains(s.Links, name) {
			return s, nil
		}
	}
	return Spec{}, fmt.Errorf("no program is called %q: known are %s", name, strings.Join(Names(), ", "))
}

// Names returns every name that can be asked for: programs, their links, sets.
func Names() []string {
	var names []string
	for _, s := range Catalogue() {
		names = append(append(names, s.Name), s.Links...)
	}
	for _, s := range Sets() {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	return names
}

// arguments are those of the go command that builds s into output.
func (s Spec) arguments(output string) []string {
	linker := []string{"-s", "-w"}
	for _, v := range s.Variables {
		linker = append(linker, "-X", v)
	}
	args := []string{"build", "-v", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", strings.Join(linker, " ")}
	if len(s.Tags) > 0 {
		args = append(args, "-tags", strings.Join(s.Tags, ","))
	}
	return append(args, "-o", output, s.Package)
}
