package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func find(t *testing.T, name string) verb {
	t.Helper()
	all := verbs()
	i := slices.IndexFunc(all, func(v verb) bool { return v.name == name })
	if i < 0 {
		t.Fatalf("no command is called %s", name)
	}
	return all[i]
}

func TestUsageNamesEveryCommandAndProgram(t *testing.T) {
	text := usage()
	for _, want := range []string{"up", "down", "status", "load IMAGE.tar...", "kubectl ARGS...", "binary NAME", "vault", "envtest"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
}

func TestFlagsLeaveACommandItsArguments(t *testing.T) {
	for _, c := range []struct {
		verb        string
		args        []string
		state       string
		rest        []string
		complaining bool
	}{
		{"up", nil, "default", nil, false},
		{"up", []string{"--state", "/x"}, "/x", nil, false},
		{"up", []string{"stray"}, "", nil, true},
		{"up", []string{"--no-such-flag"}, "", nil, true},
		{"load", []string{"--state=/x", "a.tar", "b.tar"}, "/x", []string{"a.tar", "b.tar"}, false},
		{"kubectl", []string{"get", "pods", "--state", "-A"}, "default", []string{"get", "pods", "--state", "-A"}, false},
	} {
		state, rest, err := flags(find(t, c.verb), "default", c.args)
		if (err != nil) != c.complaining || state != c.state || !slices.Equal(rest, c.rest) {
			t.Errorf("%s %v: got %q, %v, %v", c.verb, c.args, state, rest, err)
		}
	}
}

func TestCommand_UnknownIsNamed(t *testing.T) {
	if err := run(t.Context(), []string{"upp"}); err == nil || !strings.Contains(err.Error(), `"upp"`) {
		t.Errorf("got %v", err)
	}
}

func TestCommandsSayWhatTheyNeed(t *testing.T) {
	for args, want := range map[string]string{
		"binary": "the name of a program", "binary a b": "the name of a program", "binary no-such-program": "known are", "load": "image archives",
	} {
		if err := run(t.Context(), strings.Fields(args)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", args, err)
		}
	}
}

func TestOutcome_OnlyWhatAPersonRanSpeaksForItself(t *testing.T) {
	var exit *exec.ExitError
	if err := exec.CommandContext(t.Context(), "sh", "-c", "exit 7").Run(); !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if code, message := outcome(fmt.Errorf("kubectl: %w", &runError{exit})); code != 7 || message != "" {
		t.Errorf("kubectl that ended with 7 gives %d and %q", code, message)
	}
	if code, message := outcome(fmt.Errorf("ip -batch -: %w: no such device", exit)); code != 1 || !strings.Contains(message, "no such device") {
		t.Errorf("a step whose program failed gives %d and %q", code, message)
	}
	if code, message := outcome(nil); code != 0 || message != "" {
		t.Errorf("success gives %d and %q", code, message)
	}
}

func TestRepository_IsFoundFromAnywhereInIt(t *testing.T) {
	root := t.TempDir()
	inner := filepath.Join(root, "test", "cluster")
	if err := os.MkdirAll(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(inner)
	if got, err := repository(); err == nil {
		t.Errorf("outside of it: %s", got)
	}
	for dir, module := range map[string]string{root: product, inner: product + "/test/cluster"} {
		if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(module+"\n\ngo 1.26\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := filepath.EvalSymlinks(root)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := repository(); err != nil || got != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
}
