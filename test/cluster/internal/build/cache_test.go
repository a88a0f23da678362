package build

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// output is a buffer that several builds may write to.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func newCache(t *testing.T, body string) (*Cache, *output) {
	t.Helper()
	out := &output{}
	return &Cache{Dir: t.TempDir(), Sources: sources(t, body), Report: out}, out
}

// ensure builds s and returns where it is.
func ensure(t *testing.T, c *Cache, s Spec) string {
	t.Helper()
	paths, err := c.Ensure(t.Context(), []Spec{s})
	if err != nil {
		t.Fatal(err)
	}
	return paths[s.Name]
}

// printed is what a program prints.
func printed(t *testing.T, path string) string {
	t.Helper()
	out, err := exec.Command(path).CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestEnsureBuildsAllThatIsMissingAtOnce(t *testing.T) {
	c, out := newCache(t, "print(text)")
	one, other := program(), Spec{Name: "other", Version: "v1", Variables: []string{"main.text=good-day"}}
	paths, err := c.Ensure(t.Context(), []Spec{one, other})
	if err != nil {
		t.Fatal(err)
	}
	if got := printed(t, paths["greeter"]) + printed(t, paths["other"]); got != "hellogood-day" {
		t.Errorf("they print %q", got)
	}
	if alone := ensure(t, c, other); alone != paths["other"] {
		t.Errorf("alone it is %q, with another %q", alone, paths["other"])
	}
	if got := strings.Count(out.String(), "building from source"); got != 1 {
		t.Errorf("built %d times:\n%s", got, out)
	}
}

func TestFetchCompilesNothing(t *testing.T) {
	c, _ := newCache(t, "undefined()")
	if err := c.Fetch(t.Context(), []Spec{program()}); err != nil {
		t.Error(err)
	}
	if err := c.Fetch(t.Context(), []Spec{{Name: "nobody", Version: "v1"}}); err == nil || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("got %v", err)
	}
}

func TestEnsureBuildsOnceAndThenFinds(t *testing.T) {
	t.Setenv("GOFLAGS", "-mod=mod -buildvcs=true")
	c, out := newCache(t, "print(text)")
	s := program()
	s.Variables, s.Links = []string{"main.text=good-day"}, []string{"farewell"}
	path := ensure(t, c, s)
	if got := printed(t, path); got != "good-day" {
		t.Errorf("it prints %q", got)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(path), "farewell")); err != nil {
		t.Error(err)
	}
	if again := ensure(t, c, s); again != path {
		t.Errorf("got %q, then %q", path, again)
	}
	if got := strings.Count(out.String(), "building from source"); got != 1 {
		t.Errorf("built %d times:\n%s", got, out)
	}
}

func TestEnsureRepeatsWhatWasInterrupted(t *testing.T) {
	c, _ := newCache(t, "print(text)")
	half := filepath.Join(c.Dir, ".building")
	if err := os.Mkdir(half, 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(half, "greeter"), "half a program")
	if got := printed(t, ensure(t, c, program())); got != "hello" {
		t.Errorf("it prints %q", got)
	}
	if _, err := os.Stat(half); err == nil {
		t.Error("what was interrupted is left")
	}
}

func TestBuild_HappensOnceForTwoCallers(t *testing.T) {
	c, out := newCache(t, "print(text)")
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			if _, err := c.Ensure(t.Context(), []Spec{program()}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := strings.Count(out.String(), "building from source"); got != 1 {
		t.Errorf("built %d times:\n%s", got, out)
	}
}

func TestEnsureShowsWhatTheCompilerSays(t *testing.T) {
	c, _ := newCache(t, "undefined()")
	_, err := c.Ensure(t.Context(), []Spec{program()})
	if err == nil || !strings.Contains(err.Error(), "building greeter") || !strings.Contains(err.Error(), "undefined: undefined") {
		t.Errorf("got %v", err)
	}
	if entries, _ := filepath.Glob(filepath.Join(c.Dir, "greeter-*")); len(entries) > 0 {
		t.Errorf("left are %v", entries)
	}
}

func TestEnsureEndsWithItsCaller(t *testing.T) {
	c, _ := newCache(t, "print(text)")
	unlock, err := c.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, errors.New("enough"))
	defer cancel()
	if _, err := c.Ensure(ctx, []Spec{program()}); err == nil || !strings.Contains(err.Error(), "enough") {
		t.Errorf("while another one builds: %v", err)
	}
}

func TestLinkReplacesInOneStep(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "set", "member")
	for _, target := range []string{"/first", "/second", "/second"} {
		if err := link(target, path); err != nil {
			t.Fatal(err)
		}
		if got, err := os.Readlink(path); err != nil || got != target {
			t.Errorf("got %q, %v; want %q", got, err, target)
		}
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("left are %v, %v", entries, err)
	}
}

func TestDefaultDirFollowsTheEnvironment(t *testing.T) {
	t.Setenv("HOME", "/home/x")
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("RELAYKEEP_CACHE", "")
	for _, c := range []struct{ variable, value, want string }{
		{"HOME", "/home/x", "/home/x/.cache/relaykeep/bin"},
		{"XDG_CACHE_HOME", "/cache", "/cache/relaykeep/bin"},
		{"RELAYKEEP_CACHE", "/mine", "/mine/bin"},
	} {
		t.Setenv(c.variable, c.value)
		if got, err := DefaultDir(); err != nil || got != c.want {
			t.Errorf("%s=%s: got %q, %v; want %q", c.variable, c.value, got, err, c.want)
		}
	}
}
