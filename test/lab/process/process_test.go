package process

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func keeper(t *testing.T) (*Keeper, string) {
	t.Helper()
	dir := t.TempDir()
	k := NewKeeper(filepath.Join(dir, "processes"))
	t.Cleanup(func() {
		if err := k.StopAll(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return k, dir
}

func shell(dir, name, script string) Spec {
	return Spec{
		Name: name, Path: "/bin/sh", Args: []string{"-c", script}, Env: []string{"PATH=/usr/bin:/bin"},
		Dir: dir, Log: filepath.Join(dir, name+".log"),
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(look) {
		if ok() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

func pidOf(t *testing.T, k *Keeper, name string) int {
	t.Helper()
	r, err := k.read(name)
	if err != nil {
		t.Fatal(err)
	}
	return r.PID
}

func TestStartingWhatRunsChangesNothing(t *testing.T) {
	k, dir := keeper(t)
	spec := shell(dir, "one", "echo started; exec sleep 1000")
	if err := k.Start(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	before := pidOf(t, k, "one")
	if err := NewKeeper(k.dir).Start(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	if after := pidOf(t, k, "one"); after != before {
		t.Errorf("process %d was replaced by %d", before, after)
	}
	eventually(t, "its output is in its log", func() bool {
		log, err := os.ReadFile(spec.Log)
		return err == nil && string(log) == "started\n"
	})
}

func TestSpec_ChangeReplacesWhatRuns(t *testing.T) {
	k, dir := keeper(t)
	if err := k.Start(t.Context(), shell(dir, "one", "exec sleep 1000")); err != nil {
		t.Fatal(err)
	}
	first, err := k.read("one")
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Start(t.Context(), shell(dir, "one", "exec sleep 1001")); err != nil {
		t.Fatal(err)
	}
	if first.alive() || !k.Running("one") {
		t.Errorf("old one alive: %v, new one running: %v", first.alive(), k.Running("one"))
	}
}

func TestStopEndsTheChildrenTooAndRestartBringsItBack(t *testing.T) {
	k, dir := keeper(t)
	spec := shell(dir, "family", "sleep 1000 & echo $! > child; wait")
	if err := k.Start(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	var child string
	eventually(t, "the child is there", func() bool {
		data, err := os.ReadFile(filepath.Join(dir, "child"))
		child = strings.TrimSpace(string(data))
		return err == nil && child != ""
	})
	if err := k.Stop(t.Context(), "family"); err != nil {
		t.Fatal(err)
	}
	if k.Running("family") {
		t.Error("it runs after it was stopped")
	}
	eventually(t, "the child is gone", func() bool {
		stat, err := os.ReadFile(filepath.Join("/proc", child, "stat"))
		return err != nil || strings.Contains(string(stat), ") Z ")
	})
	if err := k.Restart(t.Context(), "family"); err != nil {
		t.Fatal(err)
	}
	if !k.Running("family") {
		t.Error("it does not run after it was started again")
	}
}

func TestProcessThatIgnoresTheRequestIsEnded(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the grace period")
	}
	k, dir := keeper(t)
	if err := k.Start(t.Context(), shell(dir, "deaf", "trap '' TERM; echo deaf; while :; do sleep 1; done")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is deaf", func() bool {
		log, err := os.ReadFile(filepath.Join(dir, "deaf.log"))
		return err == nil && len(log) > 0
	})
	if err := k.Stop(t.Context(), "deaf"); err != nil {
		t.Fatal(err)
	}
	if k.Running("deaf") {
		t.Error("it still runs")
	}
}

func TestProcessIdOfAnotherIsLeftAlone(t *testing.T) {
	k, dir := keeper(t)
	if err := k.Start(t.Context(), shell(dir, "bystander", "exec sleep 1000")); err != nil {
		t.Fatal(err)
	}
	r, err := k.read("bystander")
	if err != nil {
		t.Fatal(err)
	}
	stale := r
	stale.Spec.Name, stale.Started = "stale", "1"
	if err := k.write(stale); err != nil {
		t.Fatal(err)
	}
	if k.Running("stale") {
		t.Error("a process that started at another time passes for the recorded one")
	}
	if err := k.Stop(t.Context(), "stale"); err != nil {
		t.Fatal(err)
	}
	if !k.Running("bystander") {
		t.Error("a bystander was ended")
	}
}

func TestStopAllEndsTheLastStartedFirstAndForgets(t *testing.T) {
	k, dir := keeper(t)
	for _, name := range []string{"b", "a"} {
		if err := k.Start(t.Context(), shell(dir, name, "exec sleep 1000")); err != nil {
			t.Fatal(err)
		}
	}
	if names, err := k.Names(); err != nil || !slices.Equal(names, []string{"b", "a"}) {
		t.Errorf("records are %v, %v", names, err)
	}
	if err := k.StopAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if names, err := k.Names(); err != nil || len(names) != 0 {
		t.Errorf("records left: %v, %v", names, err)
	}
	if err := k.Restart(t.Context(), "a"); err == nil {
		t.Error("something forgotten was started again")
	}
}

func TestProcess_EndingAtOnceOrNotStartingIsAnError(t *testing.T) {
	k, dir := keeper(t)
	spec := shell(dir, "missing", "")
	spec.Path = filepath.Join(dir, "nothing-here")
	if err := k.Start(t.Context(), spec); err == nil {
		t.Error("a program that is not there was started")
	}
	if err := k.Stop(t.Context(), "never-started"); err != nil {
		t.Errorf("ending what never ran: %v", err)
	}
}

func TestUnreadableRecordIsAnErrorAndNotAnInvitation(t *testing.T) {
	k, dir := keeper(t)
	if err := os.MkdirAll(k.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(k.path("torn"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := k.Start(t.Context(), shell(dir, "torn", "exec sleep 1000")); err == nil {
		t.Error("started beside a record that cannot be read")
	}
	whole, err := json.Marshal(record{Spec: Spec{Name: "torn"}, PID: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(k.path("torn"), whole, 0o600); err != nil {
		t.Fatal(err)
	}
}
