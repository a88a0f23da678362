package process

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// bench is a table whose components all end with the test.
type bench struct {
	Table
	dir string
}

func newBench(t *testing.T) bench {
	t.Helper()
	dir := t.TempDir()
	b := bench{Table: Table{Dir: filepath.Join(dir, "run")}, dir: dir}
	t.Cleanup(func() {
		names, err := b.Names()
		if err != nil {
			t.Error(err)
		}
		for _, name := range names {
			if err := b.Stop(t.Context(), name, 0); err != nil && t.Context().Err() == nil {
				t.Error(err)
			}
			if r, alive := b.Alive(name); alive {
				_ = syscall.Kill(r.PID, syscall.SIGKILL)
			}
		}
	})
	return b
}

// shell is a component that runs a shell script.
func (b bench) shell(name, script string) Command {
	return Command{Name: name, Path: "/bin/sh", Args: []string{"-c", script}, Log: filepath.Join(b.dir, "log", name+".log")}
}

// ensure makes c run and returns its process.
func (b bench) ensure(t *testing.T, c Command) (pid int, started bool) {
	t.Helper()
	started, err := b.Ensure(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	r, alive := b.Alive(c.Name)
	if !alive {
		t.Fatalf("%s does not run", c.Name)
	}
	return r.PID, started
}

const forever = "exec sleep 600"

func TestEnsureStartsOnceAndThenLeavesAlone(t *testing.T) {
	b := newBench(t)
	first, started := b.ensure(t, b.shell("a", forever))
	if !started {
		t.Error("the first call says that it did not start it")
	}
	second, started := b.ensure(t, b.shell("a", forever))
	if started || second != first {
		t.Errorf("started again: process %d, then %d", first, second)
	}
}

func TestEnsureStartsAnewWhatEnded(t *testing.T) {
	b := newBench(t)
	first, _ := b.ensure(t, b.shell("a", forever))
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	until(t, "the process has ended", func() bool { _, alive := b.Alive("a"); return !alive })
	if second, started := b.ensure(t, b.shell("a", forever)); !started || second == first {
		t.Errorf("process %d, then %d", first, second)
	}
}

func TestEnsureReplacesWhatRunsSomethingElse(t *testing.T) {
	b := newBench(t)
	input := filepath.Join(b.dir, "config")
	write(t, input, "one")
	c := b.shell("a", forever)
	c.Inputs = []string{input}
	first, _ := b.ensure(t, c)
	write(t, input, "two")
	second, started := b.ensure(t, c)
	if !started || second == first {
		t.Errorf("changed input: process %d, then %d", first, second)
	}
	c.Env = []string{"A=b"}
	third, started := b.ensure(t, c)
	if !started || third == second {
		t.Errorf("changed environment: process %d, then %d", second, third)
	}
	for _, pid := range []int{first, second} {
		if _, err := startTime(pid); err == nil {
			t.Errorf("process %d was left", pid)
		}
	}
}

func TestComponent_IsStartedOnceByTwoCallers(t *testing.T) {
	b := newBench(t)
	var all sync.WaitGroup
	failures := make([]error, 8)
	for i := range failures {
		all.Go(func() { _, failures[i] = b.Ensure(t.Context(), b.shell("a", "echo started; "+forever)) })
	}
	all.Wait()
	for _, err := range failures {
		// The second caller is told so, or finds it there.
		if err != nil && !strings.Contains(err.Error(), "runs already") {
			t.Error(err)
		}
	}
	log := filepath.Join(b.dir, "log", "a.log")
	until(t, "it has started", func() bool { content, err := os.ReadFile(log); return err == nil && len(content) > 0 })
	if content, err := os.ReadFile(log); err != nil || string(content) != "started\n" {
		t.Errorf("the log holds %q, %v", content, err)
	}
}

func TestRecord_IsThereBeforeTheComponentRuns(t *testing.T) {
	b := newBench(t)
	// The component itself looks for its record as the first thing that it does.
	b.ensure(t, b.shell("a", `grep -c "\"pid\": $$" `+filepath.Join(b.Dir, "a.json")+"; "+forever))
	log := filepath.Join(b.dir, "log", "a.log")
	until(t, "it has looked", func() bool { content, err := os.ReadFile(log); return err == nil && len(content) > 0 })
	if content, err := os.ReadFile(log); err != nil || string(content) != "1\n" {
		t.Errorf("it found %q, %v", content, err)
	}
}

func TestComponent_InheritsNothingFromItsStarter(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://astray.example")
	b := newBench(t)
	c := b.shell("a", "echo proxy=$HTTPS_PROXY own=$OWN dir=$PWD; ps -o sid= -p $$; echo $$; "+forever)
	c.Env = []string{"OWN=1", "PATH=" + os.Getenv("PATH")}
	pid, _ := b.ensure(t, c)
	log := filepath.Join(b.dir, "log", "a.log")
	until(t, "it has spoken", func() bool { content, _ := os.ReadFile(log); return strings.Count(string(content), "\n") == 3 })
	content, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(content))
	if want := []string{"proxy=", "own=1", "dir=/", strconv.Itoa(pid), strconv.Itoa(pid)}; !slices.Equal(fields, want) {
		t.Errorf("got %v, want %v", fields, want)
	}
}

func TestEnsureSaysWhyNothingStarts(t *testing.T) {
	b := newBench(t)
	for what, c := range map[string]Command{
		"running /no/such/program":          {Name: "a", Path: "/no/such/program", Log: filepath.Join(b.dir, "a.log")},
		"entering the network namespace":    {Name: "b", Path: "/bin/true", Log: filepath.Join(b.dir, "b.log"), Namespace: "/no/such"},
		"joining the cgroup":                {Name: "c", Path: "/bin/true", Log: filepath.Join(b.dir, "c.log"), Cgroup: "/no/such"},
		"reading an input of d: open /no/s": {Name: "d", Path: "/bin/true", Log: filepath.Join(b.dir, "d.log"), Inputs: []string{"/no/such"}},
	} {
		started, err := b.Ensure(t.Context(), c)
		if err == nil || started || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: got %v, %v", what, started, err)
		}
	}
}

func TestStopEndsTheProcessAndForgetsIt(t *testing.T) {
	b := newBench(t)
	pid, _ := b.ensure(t, b.shell("a", forever))
	if err := b.Stop(t.Context(), "a", DefaultGrace); err != nil {
		t.Fatal(err)
	}
	if _, err := startTime(pid); !errors.Is(err, errGone) {
		t.Errorf("process %d: %v", pid, err)
	}
	if entries, err := os.ReadDir(b.Dir); err != nil || len(entries) > 0 {
		t.Errorf("left are %v, %v", entries, err)
	}
	if err := b.Stop(t.Context(), "a", DefaultGrace); err != nil {
		t.Errorf("again: %v", err)
	}
}

func TestStopForcesWhatDoesNotEndByItself(t *testing.T) {
	b := newBench(t)
	pid, _ := b.ensure(t, b.shell("a", "trap '' TERM; echo ready; while :; do sleep 600; done"))
	log := filepath.Join(b.dir, "log", "a.log")
	until(t, "it ignores the signal", func() bool { content, _ := os.ReadFile(log); return len(content) > 0 })
	if err := b.Stop(t.Context(), "a", 50*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if _, err := startTime(pid); !errors.Is(err, errGone) {
		t.Errorf("process %d: %v", pid, err)
	}
}

func TestStopLeavesAProcessAloneThatGotTheNumberLater(t *testing.T) {
	b := newBench(t)
	other := exec.Command("sleep", "600")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Process.Kill(); _ = other.Wait() })
	r := recordOf(t, other.Process.Pid)
	r.Name, r.Started = "a", r.Started-1
	if err := os.MkdirAll(b.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := writeJSON(b.record("a"), r); err != nil {
		t.Fatal(err)
	}
	if err := b.Stop(t.Context(), "a", 0); err != nil {
		t.Fatal(err)
	}
	if _, err := startTime(other.Process.Pid); err != nil {
		t.Error("it was ended")
	}
	if _, err := os.Stat(b.record("a")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the stale record is left: %v", err)
	}
}

func TestNamesAreThoseOfRecordsOnly(t *testing.T) {
	b := newBench(t)
	if names, err := b.Names(); err != nil || names != nil {
		t.Errorf("of nothing: %v, %v", names, err)
	}
	b.ensure(t, b.shell("b", forever))
	b.ensure(t, b.shell("a", forever))
	if names, err := b.Names(); err != nil || !slices.Equal(names, []string{"a", "b"}) {
		t.Errorf("got %v, %v", names, err)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// until waits until the condition holds.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-deadline.C:
			t.Fatalf("not within 20 s: %s", what)
		case <-ticker.C:
		}
	}
}
