package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// module writes a module with one fuzz target that holds and one that does not.
func module(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{
		"go.mod": "module example\n\ngo 1.26\n",
		"x.go":   "package example\n",
		"x_test.go": `package example

import "testing"

func TestNothing(t *testing.T) {}

func FuzzHolds(f *testing.F) { f.Fuzz(func(t *testing.T, b []byte) {}) }

func FuzzBreaks(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 0 {
			panic("broken")
		}
	})
}
`,
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	t.Setenv("GOFLAGS", "-mod=mod")
}

func TestTargets_AllRunAndFailuresAreReported(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and fuzzes a module")
	}
	module(t)
	targets, err := build(t.Context(), t.TempDir(), []string{"."})
	if err != nil {
		t.Fatal(err)
	}
	if len(targets) != 2 {
		t.Fatalf("found %d targets, want 2", len(targets))
	}
	for i := range targets {
		targets[i].cache = t.TempDir()
	}
	var out strings.Builder
	if failed := fuzzAll(t.Context(), targets, time.Second, 2, &out); failed != 1 {
		t.Errorf("%d failed, want 1:\n%s", failed, out.String())
	}
	if !strings.Contains(out.String(), "ok    example FuzzHolds: elapsed") || !strings.Contains(out.String(), "FAIL  example FuzzBreaks") {
		t.Errorf("the output does not say so:\n%s", out.String())
	}
}

func TestPackage_WithoutTargetsIsAnError(t *testing.T) {
	module(t)
	if err := os.Remove("x_test.go"); err != nil {
		t.Fatal(err)
	}
	if _, err := build(t.Context(), t.TempDir(), []string{"."}); err == nil {
		t.Error("nothing was fuzzed and nobody told")
	}
}

func TestTarget_FailsUnlessItsTimeIsOver(t *testing.T) {
	for out, want := range map[string]bool{
		"--- FAIL: FuzzX (60.10s)\n    context deadline exceeded\nFAIL\n":                                            true,
		"--- FAIL: FuzzX (1s)\n    x_test.go:1: wrong\n    Failing input written to testdata/fuzz/FuzzX/1\n":         false,
		"panic: x\ncontext deadline exceeded\n":                                                                      false,
		"--- FAIL: FuzzX\n    context deadline exceeded\n    Failing input written to testdata/fuzz/FuzzX/1\nFAIL\n": false,
	} {
		if got := onlyOutOfTime(out); got != want {
			t.Errorf("%q: %t, want %t", out, got, want)
		}
	}
}
