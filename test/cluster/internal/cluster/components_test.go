package cluster

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/test/cluster/internal/process"
	"github.com/relaykeep/relaykeep/test/cluster/internal/step"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// rendered are the components of a cluster whose programs and state are at fixed places.
func rendered() components {
	p := make(programs)
	for _, name := range needed {
		p[name] = "/cache/" + name + "-v1-0123456789ab/" + name
	}
	return components{
		layout: layout{state: "/state", run: "/run/relaykeep-cluster/x"}, programs: p,
		cgroup: "/sys/fs/cgroup/relaykeep/components/cgroup.procs",
	}
}

func commands(c components) []process.Command {
	all := []process.Command{c.etcdServer(), c.apiServer(), c.controllerManager(), c.scheduler(), c.provisioner()}
	for _, n := range c.all() {
		all = append(all, c.containerd(n, "/usr/bin/containerd"), c.kubelet(n), c.proxy(n), c.router(n))
	}
	return all
}

func TestCommandsAreAsReviewed(t *testing.T) {
	got, err := json.MarshalIndent(commands(rendered()), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "commands.json")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: go test ./internal/cluster -update writes it", err)
	}
	if string(got) != string(want) {
		t.Errorf("commands are not what they were (go test ./internal/cluster -update, and look at the difference):\n%s", got)
	}
}

func TestCommands_HaveTheirOwnNameAndTheClustersGroup(t *testing.T) {
	c := rendered()
	seen := make(map[string]bool)
	for _, command := range commands(c) {
		if seen[command.Name] {
			t.Errorf("two are called %s", command.Name)
		}
		seen[command.Name] = true
		if command.Cgroup != c.cgroup {
			t.Errorf("%s is in the group %q", command.Name, command.Cgroup)
		}
		second := strings.HasSuffix(command.Name, "-eu-1")
		if second != (command.Namespace != "") {
			t.Errorf("%s runs in the namespace %q", command.Name, command.Namespace)
		}
		if slices.ContainsFunc(command.Env, func(v string) bool { return strings.Contains(strings.ToLower(v), "proxy=") }) {
			t.Errorf("%s has a proxy: %v", command.Name, command.Env)
		}
	}
}

func TestImage_IsNamedAfterTheBuildOfItsProgram(t *testing.T) {
	c := rendered()
	if got := c.pauseImage(); got != "cluster.relaykeep.test/pause:0123456789ab" {
		t.Errorf("got %s", got)
	}
	c.programs["coredns"] = "/cache/coredns-v2-ba9876543210/coredns"
	if got := c.coreDNSImage(); got != "cluster.relaykeep.test/coredns:ba9876543210" {
		t.Errorf("got %s", got)
	}
}

func TestSteps_CouldAllRun(t *testing.T) {
	u := &up{components: rendered()}
	ran := make(map[string]bool)
	steps := u.steps()
	for i := range steps {
		// What the steps do is not of interest here, only that their order holds.
		steps[i].Ensure = nothing
		ran[steps[i].Name] = true
	}
	if err := step.Run(t.Context(), t.Output(), steps); err != nil {
		t.Fatal(err)
	}
	for _, n := range u.all() {
		for _, what := range []string{"containerd", "images", "kubelet", "kube-proxy", "kube-router", "labels"} {
			if !ran[n.Name+": "+what] {
				t.Errorf("%s has no step for %s", n.Name, what)
			}
		}
	}
}
