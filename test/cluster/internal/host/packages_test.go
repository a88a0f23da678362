package host

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestProgram_AbsentIsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	missing := Missing(t.Context(), []string{"no-such-package-anywhere"})
	for _, want := range []string{"containerd", "iptables", "no-such-package-anywhere"} {
		if !slices.Contains(missing, want) {
			t.Errorf("%v does not have %s", missing, want)
		}
	}
	if !slices.IsSorted(missing) || len(slices.Compact(slices.Clone(missing))) != len(missing) {
		t.Errorf("%v names one twice", missing)
	}
}

func TestProgram_WithLibrariesIsNotStatic(t *testing.T) {
	for path, want := range map[string]bool{"/bin/sh": false, "/no/such/program": false, "packages_test.go": false} {
		if got := static(path); got != want {
			t.Errorf("%s is static: %v, want %v", path, got, want)
		}
	}
}

func TestInstallOfNothingDoesNothing(t *testing.T) {
	if len(Missing(t.Context(), nil)) > 0 {
		t.Skip("something is missing here")
	}
	var out bytes.Buffer
	if err := Install(t.Context(), &out, nil); err != nil || out.Len() > 0 {
		t.Errorf("got %v and %q", err, out.String())
	}
}

func TestPackages_MissingAreNamedExactly(t *testing.T) {
	err := error(&MissingError{Packages: []string{"ipset", "runc"}, Why: "only root can install them"})
	if !strings.Contains(err.Error(), "apt-get install ipset runc") || !strings.Contains(err.Error(), "only root") {
		t.Errorf("got %v", err)
	}
	if _, ok := errors.AsType[*MissingError](err); !ok {
		t.Error("it is no MissingError")
	}
}

func TestNameserver_CountsOnlyIfPodsReachIt(t *testing.T) {
	for content, want := range map[string]bool{
		"nameserver 10.0.0.2\n":                        true,
		"search x\nnameserver 127.0.0.53\n":            false,
		"nameserver 127.0.0.1\nnameserver 2001:db8::1": true,
		"nameserver ::1\n":                             false,
		"# nameserver 10.0.0.2\n":                      false,
		"nameserver\nnameserver x\n":                   false,
		"":                                             false,
	} {
		if got := reachableServer(content); got != want {
			t.Errorf("%q: got %v, want %v", content, got, want)
		}
	}
}

func TestSnapshotter_SuitsTheFileSystem(t *testing.T) {
	if got, err := Snapshotter(t.TempDir()); err != nil || got != "overlayfs" && got != "native" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := Snapshotter(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("of nothing: %v", err)
	}
}

func TestCommand_FailureShowsItsOutput(t *testing.T) {
	_, err := command(t.Context(), "input\n", "sh", "-c", "cat >&2; exit 3")
	if err == nil || !strings.Contains(err.Error(), "exit status 3: input") {
		t.Errorf("got %v", err)
	}
}
