package binary_test

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"

	"github.com/relaykeep/relaykeep/test/images/binary"
	"github.com/relaykeep/relaykeep/test/repository"
)

// What the product and the programs of the test cluster have in common is compiled once only
// if both require the same version.
func TestVersions_SharedWithTheClusterAreTheSame(t *testing.T) {
	ours, theirs := required(t, "go.mod"), required(t, "test", "cluster", "binaries", "go.mod")
	common := 0
	for module, version := range ours {
		other, ok := theirs[module]
		if !ok {
			continue
		}
		common++
		if other != version {
			t.Errorf("%s is required at %s here and at %s by the cluster's programs: raise the older one", module, version, other)
		}
	}
	if common < 50 {
		t.Errorf("%d modules are in both: the go.mod files were not understood", common)
	}
}

// What is compiled with other flags is compiled again.
func TestFlags_OfTheMakefileAndTheClusterAreTheSame(t *testing.T) {
	for _, file := range [][]string{{"Makefile"}, {"test", "cluster", "internal", "build", "catalogue.go"}} {
		text := contents(t, file...)
		for _, flag := range binary.Flags() {
			if !strings.Contains(text, flag) {
				t.Errorf("%s does not have %s", file[len(file)-1], flag)
			}
		}
	}
}

// required are the versions that a go.mod requires, or takes in their place.
func required(t *testing.T, file ...string) map[string]string {
	t.Helper()
	parsed, err := modfile.Parse(file[len(file)-1], []byte(contents(t, file...)), nil)
	if err != nil {
		t.Fatal(err)
	}
	versions := make(map[string]string)
	for _, r := range parsed.Require {
		versions[r.Mod.Path] = r.Mod.Version
	}
	for _, r := range parsed.Replace { // Kubernetes' own module names its parts as v0.0.0
		if _, ok := versions[r.Old.Path]; ok && r.New.Path == r.Old.Path {
			versions[r.Old.Path] = r.New.Version
		}
	}
	return versions
}

// contents is what a file of the repository holds.
func contents(t *testing.T, file ...string) string {
	t.Helper()
	path, err := repository.File(file...)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
