package build

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func program() Spec { return Spec{Name: "greeter", Version: "v1.2.3"} }

// sources makes a module with a small program and returns its directory.
func sources(t *testing.T, body string) string {
	t.Helper()
	root := t.TempDir()
	put(t, filepath.Join(root, "go.mod"), "module programs\n\ngo 1.26\n")
	put(t, filepath.Join(root, "go.sum"), "")
	for _, name := range []string{"greeter", "other"} {
		if err := os.Mkdir(filepath.Join(root, name), 0o755); err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(root, name, "main.go"), "package main\n\nvar text = \"hello\"\n\nfunc main() { "+body+" }\n")
	}
	return root
}

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func key(t *testing.T, s Spec, dir, toolchain string) string {
	t.Helper()
	k, err := Key(s, dir, toolchain)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestKeySaysNameAndVersion(t *testing.T) {
	k := key(t, program(), sources(t, "println(text)"), "go1.26")
	if !regexp.MustCompile(`^greeter-v1\.2\.3-[0-9a-f]{12}$`).MatchString(k) {
		t.Errorf("got %q", k)
	}
}

func TestKeyIsTheSameForTheSameInputsWhereverTheyAre(t *testing.T) {
	first := key(t, program(), sources(t, "println(text)"), "go1.26")
	second := key(t, program(), sources(t, "println(text)"), "go1.26")
	if first != second {
		t.Errorf("got %q, then %q", first, second)
	}
}

func TestKeyDiffersByEverythingThatGoesIntoTheBuild(t *testing.T) {
	seen := map[string]string{}
	note := func(what, k string) {
		if other, ok := seen[k]; ok {
			t.Errorf("%s has the key of %s", what, other)
		}
		seen[k] = what
	}
	dir := sources(t, "println(text)")
	note("the program", key(t, program(), dir, "go1.26 linux amd64"))
	note("another toolchain", key(t, program(), dir, "go1.27 linux amd64"))
	variables := program()
	variables.Variables = []string{"main.text=bye"}
	note("other variables", key(t, variables, dir, "go1.26 linux amd64"))
	links := program()
	links.Links = []string{"other"}
	note("other links", key(t, links, dir, "go1.26 linux amd64"))
	put(t, filepath.Join(dir, "go.sum"), "\n")
	note("another go.sum", key(t, program(), dir, "go1.26 linux amd64"))
	put(t, filepath.Join(dir, "greeter", "main.go"), "package main\n\nfunc main() {}\n")
	note("another source", key(t, program(), dir, "go1.26 linux amd64"))
	put(t, filepath.Join(dir, "go.mod"), "module programs\n\ngo 1.25\n")
	note("another go.mod", key(t, program(), dir, "go1.26 linux amd64"))
	before := key(t, program(), dir, "go1.26 linux amd64")
	put(t, filepath.Join(dir, "greeter", "notes.txt"), "read by nobody")
	put(t, filepath.Join(dir, "other", "main.go"), "package main\n\nfunc main() {}\n")
	if after := key(t, program(), dir, "go1.26 linux amd64"); after != before {
		t.Error("a file that no build reads changes the key")
	}
}

func TestKeyNeedsBuildFiles(t *testing.T) {
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), "none")} {
		if k, err := Key(program(), dir, "go1.26"); err == nil {
			t.Errorf("got %q", k)
		}
	}
}

func TestKeyRefusesABuildFileOfAbsurdSize(t *testing.T) {
	dir := sources(t, "")
	put(t, filepath.Join(dir, "go.sum"), strings.Repeat("x", maxInput+1))
	if k, err := Key(program(), dir, "go1.26"); err == nil {
		t.Errorf("got %q", k)
	}
}
