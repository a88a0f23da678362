// Package build makes the programs that the cluster is put together from, from source and out of Go's module cache alone, and
// keeps them in a cache outside the repository. It knows how to build a program, and nothing about how one is run.
package build

import (
	"fmt"
	"slices"
	"strings"
)

// Spec says how one program is built. All programs belong to the one module in binaries, so that what several of them are made of
// has one version and is compiled once.
type Spec struct {
	// Name is what the program is called by on the command line and in the cache.
	Name string
	// Version is the upstream's version, for people: the hash of the build's inputs tells two builds apart.
	Version string
	// Package is the import path of the main package, empty when it is binaries/<Name>. Its last element is Name.
	Package string
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

// tags are the build tags of all programs: a Vault with the storage and the logins that it needs here.
const tags = "minimal"

// Catalogue returns every program.
func Catalogue() []Spec {
	component := "k8s.io/component-base/version."
	return []Spec{
		{Name: "pause", Version: "v1"},
		{Name: "probe", Version: "v1"},
		{Name: "provisioner", Version: "v1"},
		{Name: "kube-router", Version: "v2.2.1"},
		{Name: "coredns", Version: "v1.15.0"},
		{Name: "etcd", Version: "v3.7.0"},
		{Name: "helm", Version: "v4.3.1", Package: "helm.sh/helm/v4/cmd/helm"},
		{
			Name: "vault-plugin-auth-kubernetes", Version: "v0.21.0",
			Package: "github.com/hashicorp/vault-plugin-auth-kubernetes/cmd/vault-plugin-auth-kubernetes",
			// Vault names a plugin by its file.
			Links: []string{"kubernetes-auth"},
		},
		{Name: "vault", Version: "v1.19.5"},
		{
			Name: "kubernetes", Version: kubernetesVersion,
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

// path is the main package as the go command in binaries takes it.
func (s Spec) path() string {
	if s.Package == "" {
		return "./" + s.Name
	}
	return s.Package
}

// linking are s's own arguments to the linker. All programs take one command, so those of a program name its package.
func (s Spec) linking() []string {
	flags := []string{"-s", "-w"}
	for _, v := range s.Variables {
		flags = append(flags, "-X", v)
	}
	return []string{"-ldflags", s.path() + "=" + strings.Join(flags, " ")}
}

// arguments are those of the go command that builds specs into the directory output. The linker leaves DWARF out, so the compiler
// need not make it. There is a compiler for each processor at a time: when none uses more than one, they take a quarter less of their
// time than when each uses them all, and up to a sixth less of that when none collects garbage before it has two gibibytes, of which few packages
// need half.
func arguments(specs []Spec, output string) []string {
	args := []string{
		"build", "-v", "-mod=readonly", "-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false", "-toolexec=env GOMAXPROCS=1 GOGC=off GOMEMLIMIT=2GiB",
		"-tags", tags,
	}
	for _, s := range specs {
		args = append(args, s.linking()...)
	}
	return append(append(args, "-o", output+"/"), paths(specs)...)
}

func paths(specs []Spec) []string {
	var all []string
	for _, s := range specs {
		all = append(all, s.path())
	}
	return all
}
