package cluster

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/test/cluster/internal/api"
	"github.com/relaykeep/relaykeep/test/cluster/internal/image"
	"github.com/relaykeep/relaykeep/test/cluster/internal/process"
)

// TestMain lets the test's own program be the first stage of a component, as the real program is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == process.Stage {
		_ = process.Exec(os.Args[2:])
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func nothing(context.Context) (string, error) { return "done", nil }

// newUp is a run of Up that can start processes, in a directory of its own, and ends them with the test.
func newUp(t *testing.T) *up {
	t.Helper()
	dir := t.TempDir()
	u := &up{components: components{layout: layout{state: dir, run: filepath.Join(dir, "sockets")}}}
	t.Cleanup(func() {
		names, err := u.table().Names()
		if err != nil {
			t.Error(err)
		}
		for _, name := range names {
			if err := u.table().Stop(context.WithoutCancel(t.Context()), name, 0); err != nil {
				t.Error(err)
			}
		}
	})
	return u
}

// component is one that runs a shell script.
func (c components) script(script string) process.Command {
	return c.command("a", "/bin/sh", []string{"-c", script})
}

func TestRunningStartsWaitsAndThenFindsIt(t *testing.T) {
	u := newUp(t)
	asked := 0
	ready := func(context.Context) error {
		if asked++; asked < 3 {
			return errors.New("not yet")
		}
		return nil
	}
	if did, err := u.running(t.Context(), u.script("exec sleep 600"), ready); err != nil || did != "started" {
		t.Errorf("got %q, %v", did, err)
	}
	if did, err := u.running(t.Context(), u.script("exec sleep 600"), ready); err != nil || did != "runs already" {
		t.Errorf("again: %q, %v", did, err)
	}
}

func TestRunningStartsAgainWhatEndsAtFirst(t *testing.T) {
	u := newUp(t)
	mark := filepath.Join(t.TempDir(), "mark")
	// The first two attempts end, as a component does whose server is not there yet.
	script := `echo x >>` + mark + `; [ $(wc -l <` + mark + `) -ge 3 ] || exit 1; echo up >` + mark + `.up; exec sleep 600`
	_, err := u.running(t.Context(), u.script(script), func(context.Context) error {
		_, err := os.Stat(mark + ".up")
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestRunningGivesUpOnWhatAlwaysEndsAndShowsWhy(t *testing.T) {
	u := newUp(t)
	_, err := u.running(t.Context(), u.script("echo no such flag >&2; exit 1"), func(context.Context) error { return errors.New("not yet") })
	if err == nil || !strings.Contains(err.Error(), "it ends by itself") || !strings.Contains(err.Error(), "no such flag") {
		t.Errorf("got %v", err)
	}
}

func TestRunningSaysWhatItWaitedForWhenCutShort(t *testing.T) {
	u := newUp(t)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := u.running(ctx, u.script("exec sleep 600"), func(context.Context) error { return errors.New("no port yet") })
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no port yet") {
		t.Errorf("got %v", err)
	}
	if _, alive := u.table().Alive("a"); !alive {
		t.Error("what had been started is gone: the next call would start over")
	}
}

func TestLastLinesAreTheEndOfALog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	var long bytes.Buffer
	for range 2000 {
		long.WriteString("an earlier line\n")
	}
	long.WriteString("the reason\n")
	if err := os.WriteFile(path, long.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	got := lastLines(path)
	if !strings.HasSuffix(got, "\nthe reason") || strings.Count(got, "\n") > 12 {
		t.Errorf("got %q", got)
	}
	if got := lastLines(path + ".none"); !strings.Contains(got, "no such file") {
		t.Errorf("of nothing: %q", got)
	}
}

func TestFile_UpToDateIsNotWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for i, c := range []struct {
		content string
		want    bool
	}{{"one", true}, {"one", false}, {"two", true}, {"two", false}} {
		if got, err := writeChanged(path, []byte(c.content), 0o600); err != nil || got != c.want {
			t.Errorf("%d: wrote %v, %v; want %v", i, got, err, c.want)
		}
	}
}

func TestArchivesAreWrittenOnceAndWhole(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "images")
	images := []image.Image{{Reference: "registry.test/a:v1"}}
	paths, err := archives(dir, images)
	if err != nil {
		t.Fatal(err)
	}
	path := paths["registry.test/a:v1"]
	if err := os.WriteFile(path, []byte("as it was"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := archives(dir, images); err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile(path); err != nil || string(content) != "as it was" {
		t.Errorf("it was written again: %d bytes, %v", len(content), err)
	}
	broken := []image.Image{{Reference: "registry.test/b:v1", Files: map[string]string{"x": "/no/such"}}}
	if _, err := archives(dir, broken); err == nil {
		t.Fatal("an image of nothing was written")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*_b_*.tar")); len(left) > 0 {
		t.Errorf("half an archive is left: %v", left)
	}
}

func TestNode_IsReadyByAFreshReportOnly(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	for what, c := range map[string]struct {
		conditions string
		want       string
	}{
		"ready":   {`{"type":"MemoryPressure","status":"False"},{"type":"Ready","status":"True","lastHeartbeatTime":"` + now.Format(time.RFC3339) + `"}`, ""},
		"stale":   {`{"type":"Ready","status":"True","lastHeartbeatTime":"` + now.Add(-time.Minute).Format(time.RFC3339) + `"}`, "no sign of life"},
		"unready": {`{"type":"Ready","status":"False","message":"no network","lastHeartbeatTime":"` + now.Format(time.RFC3339) + `"}`, "no network"},
		"new":     {``, "says nothing"},
	} {
		client := answering(t, `{"status":{"conditions":[`+c.conditions+`]}}`)
		err := nodeReady(t.Context(), client, "na-1", now)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v", what, err)
		}
	}
}

func TestNameServersAreReadyWhenAllOfTheCurrentOnesAre(t *testing.T) {
	for object, want := range map[string]bool{
		`{"metadata":{"generation":2},"status":{"observedGeneration":2,"updatedReplicas":2,"readyReplicas":2}}`: true,
		`{"metadata":{"generation":2},"status":{"observedGeneration":1,"updatedReplicas":2,"readyReplicas":2}}`: false,
		`{"metadata":{"generation":2},"status":{"observedGeneration":2,"updatedReplicas":1,"readyReplicas":2}}`: false,
		`{"metadata":{"generation":2},"status":{"observedGeneration":2,"updatedReplicas":2,"readyReplicas":1}}`: false,
		`{"metadata":{"generation":1}}`: false,
	} {
		if err := dnsReady(t.Context(), answering(t, object), 2); (err == nil) != want {
			t.Errorf("%s: got %v, want ready: %v", object, err, want)
		}
	}
}

// answering is a client of a server that answers everything with that object.
func answering(t *testing.T, object string) *api.Client {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, object) }))
	t.Cleanup(server.Close)
	return api.New(server.URL, server.Client().Transport.(*http.Transport).TLSClientConfig)
}

func TestCommands_DoNotChangeTheClusterAtOnce(t *testing.T) {
	var out bytes.Buffer
	c := &Cluster{layout: layout{state: t.TempDir()}, out: &out}
	release, err := c.acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := c.acquire(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(out.String(), "waiting for another command") {
		t.Errorf("it says %q", out.String())
	}
	release()
	release, err = c.acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	release()
}

func TestStatusOfNothingSaysWhatToDo(t *testing.T) {
	c := &Cluster{layout: layout{state: t.TempDir()}, out: io.Discard}
	if err := c.Status(t.Context(), io.Discard); err == nil || !strings.Contains(err.Error(), "cluster up") {
		t.Errorf("got %v", err)
	}
	if err := c.Load(t.Context(), []string{"x.tar"}); err == nil || !strings.Contains(err.Error(), "cluster up") {
		t.Errorf("load: got %v", err)
	}
}
