package cluster

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// machine makes layouts of clusters on one machine.
func machine(t *testing.T) func(name string) layout {
	t.Helper()
	dir := t.TempDir()
	return func(name string) layout {
		l := layout{state: filepath.Join(dir, "home", name), run: filepath.Join(dir, "run", name)}
		if err := os.MkdirAll(l.state, 0o755); err != nil {
			t.Fatal(err)
		}
		return l
	}
}

// begun makes the cluster one that was begun.
func begun(t *testing.T, l layout) {
	t.Helper()
	if err := os.WriteFile(l.before(), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestCluster_ClaimsItsMachineRepeatedly(t *testing.T) {
	l := machine(t)("mine")
	for range 2 {
		if lost, err := l.claim(); err != nil || lost != nil {
			t.Fatalf("got %v, %v", lost, err)
		}
		begun(t, l)
	}
}

func TestCluster_SecondIsToldWhereTheFirstIs(t *testing.T) {
	on := machine(t)
	first, second := on("first"), on("second")
	if _, err := first.claim(); err != nil {
		t.Fatal(err)
	}
	begun(t, first)
	_, err := second.claim()
	other, ok := errors.AsType[*OtherError](err)
	if !ok || other.State != first.state || !strings.Contains(err.Error(), first.state) {
		t.Errorf("got %v", err)
	}
	if err := errors.Join(os.Remove(first.before()), first.release()); err != nil {
		t.Fatal(err)
	}
	if lost, err := second.claim(); err != nil || lost != nil {
		t.Errorf("after it was taken down: %v, %v", lost, err)
	}
}

func TestCluster_WithoutItsStateIsFound(t *testing.T) {
	on := machine(t)
	first, second := on("first"), on("second")
	if _, err := first.claim(); err != nil {
		t.Fatal(err)
	}
	begun(t, first)
	if err := os.RemoveAll(first.state); err != nil {
		t.Fatal(err)
	}
	if lost, err := second.claim(); err != nil || !slices.Equal(lost, []string{first.state}) {
		t.Errorf("got %v, %v", lost, err)
	}
}

func TestReleaseLeavesNothingButWhatIsAnothers(t *testing.T) {
	on := machine(t)
	first, second := on("first"), on("second")
	for _, l := range []layout{first, second} {
		if _, err := l.claim(); err != nil {
			t.Fatal(err)
		}
	}
	if err := first.release(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(second.run); err != nil {
		t.Error("the other one's went too")
	}
	if err := second.release(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Dir(second.run)); err == nil {
		t.Error("the common directory is left")
	}
}
