package host

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestParseMountsFindsHierarchiesOfBothVersions(t *testing.T) {
	for what, c := range map[string]struct {
		mounts string
		want   []hierarchy
	}{
		"version 2": {
			"proc /proc proc rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n",
			[]hierarchy{{path: "/sys/fs/cgroup", unified: true}},
		},
		"version 1 beside an empty version 2": {
			"tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n",
			[]hierarchy{{path: "/sys/fs/cgroup/cpu", controllers: []string{"rw", "cpu"}}, {path: "/sys/fs/cgroup/unified", unified: true}},
		},
		"elsewhere": {"cgroup2 /mnt/cgroup cgroup2 rw 0 0\nshort\n", nil},
	} {
		got, err := parseMounts(strings.NewReader(c.mounts))
		if err != nil {
			t.Fatal(err)
		}
		same := slices.EqualFunc(got, c.want, func(a, b hierarchy) bool {
			return a.path == b.path && a.unified == b.unified && slices.Equal(a.controllers, b.controllers)
		})
		if !same {
			t.Errorf("%s: got %+v, want %+v", what, got, c.want)
		}
	}
}

func TestCgroup_NewOfVersion1HasProcessorsAndMemory(t *testing.T) {
	root := t.TempDir()
	// The kernel makes these files with a directory: the parts of the path are made here as it would.
	for dir, content := range map[string]string{"": "0-3\n", "relaykeep": "\n", "relaykeep/na-1": "\n"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			if err := os.WriteFile(filepath.Join(root, dir, file), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	m := hierarchy{path: root, controllers: []string{"rw", "cpuset"}}
	if err := m.make("/relaykeep", "na-1"); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		if got, err := os.ReadFile(filepath.Join(root, "relaykeep/na-1", file)); err != nil || string(got) != "0-3\n" {
			t.Errorf("%s is %q, %v", file, got, err)
		}
	}
}

func TestCgroup_Version2DelegatesItsControllers(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"", "relaykeep", "relaykeep/na-1"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, dir, "cgroup.controllers"), []byte("memory\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m := hierarchy{path: root, unified: true}
	for _, name := range []string{"na-1", components} {
		if err := os.MkdirAll(filepath.Join(root, "relaykeep", name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := m.make("/relaykeep", name); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"", "relaykeep", "relaykeep/na-1"} {
		if got, err := os.ReadFile(filepath.Join(root, dir, "cgroup.subtree_control")); err != nil || string(got) != "+memory" {
			t.Errorf("%q hands down %q, %v", dir, got, err)
		}
	}
	// A group that has processes of its own may hand nothing down.
	if _, err := os.Stat(filepath.Join(root, "relaykeep", components, "cgroup.subtree_control")); err == nil {
		t.Error("the components' group hands controllers down")
	}
}

// testCgroups is a real tree beside the cluster's own.
func testCgroups(t *testing.T) Cgroups {
	t.Helper()
	asRoot(t)
	c, err := FindCgroups("/relaykeep-test", []string{"na-1"})
	if err != nil {
		t.Skip(err)
	}
	if err := c.Ensure(); err != nil {
		t.Skipf("control groups cannot be made here: %v", err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if err := errors.Join(c.Kill(ctx, ""), c.Remove(ctx)); err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestEverythingInAGroupIsEndedAndNothingElse(t *testing.T) {
	c := testCgroups(t)
	if busy, err := c.Busy(); err != nil || busy {
		t.Fatalf("busy at first: %v, %v", busy, err)
	}
	inside, outside := exec.Command("sleep", "600"), exec.Command("sleep", "600")
	for _, cmd := range []*exec.Cmd{inside, outside} {
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = cmd.Process.Kill() }()
	}
	ended := make(chan error, 1)
	go func() { ended <- inside.Wait() }()
	if err := os.WriteFile(c.Components(), fmtPID(inside), 0); err != nil {
		t.Fatal(err)
	}
	if busy, err := c.Busy(); err != nil || !busy {
		t.Errorf("busy: %v, %v", busy, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := c.KillComponents(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("it ended by itself")
	}
	if err := outside.Process.Signal(os.Interrupt); err != nil {
		t.Errorf("the one outside: %v", err)
	}
	_ = outside.Wait()
}

func TestTree_IsMadeAndRemovedAnyNumberOfTimes(t *testing.T) {
	c := testCgroups(t)
	if err := c.Ensure(); err != nil {
		t.Errorf("made again: %v", err)
	}
	for range 2 {
		if err := c.Remove(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range c.mounts {
		if _, err := os.Stat(filepath.Join(m.path, c.Root)); err == nil {
			t.Errorf("%s is left in %s", c.Root, m.path)
		}
	}
}

func TestCgroup_VanishingWhileReadIsGone(t *testing.T) {
	for _, err := range []error{unix.ENODEV, unix.ENOENT} {
		if got := gone(&fs.PathError{Op: "read", Path: "cgroup.procs", Err: err}); got != nil {
			t.Errorf("%v is taken for %v", err, got)
		}
	}
	if gone(unix.EACCES) == nil {
		t.Error("what may not be read is taken for gone")
	}
}
