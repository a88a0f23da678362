package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/relaykeep/relaykeep/test/cluster/internal/config"
	"github.com/relaykeep/relaykeep/test/cluster/internal/host"
	"github.com/relaykeep/relaykeep/test/cluster/internal/process"
)

// downLimit is how long ending containers may take on one node before they are ended without their runtime's help.
const downLimit = time.Minute

// Down stops the cluster and removes what it made on the machine. Logs stay, to show what went wrong. It may be cut short and
// called again, and when nothing is there it does nothing.
func (c *Cluster) Down(ctx context.Context) error {
	if os.Geteuid() != 0 {
		return errors.New("taking the cluster down needs root")
	}
	unlock, err := c.acquire(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	lost, err := c.claim()
	if err != nil {
		return err
	}
	for _, state := range lost {
		if err := c.clear(ctx, state); err != nil {
			return err
		}
	}
	if !c.exists() {
		fmt.Fprintln(c.out, "no cluster is there")
		return c.release()
	}
	return c.takeDown(ctx)
}

// takeDown ends whatever there is of the cluster.
func (c *Cluster) takeDown(ctx context.Context) error {
	d := &down{Cluster: c}
	var err error
	if d.cgroups, err = c.groups(); err != nil {
		return err
	}
	if c.exists() {
		if d.before, err = host.Remember(ctx, c.before()); err != nil {
			return err
		}
	}
	start := time.Now()
	for _, stage := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"ending what starts containers", d.endAgents},
		{"ending containers", d.endContainers},
		{"ending the control plane", d.endRest},
		{"taking mounts, network and rules away", d.cleanHost},
		{"removing state", d.removeState},
	} {
		fmt.Fprintf(c.out, "%5.1f s  %s\n", time.Since(start).Seconds(), stage.name)
		if err := stage.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", stage.name, err)
		}
	}
	fmt.Fprintf(c.out, "%5.1f s  down; logs are in %s\n", time.Since(start).Seconds(), c.logs())
	return nil
}

// down is one run of takeDown.
type down struct {
	*Cluster
	// before is empty when what remembered it is lost: then nothing is put back, and only what is the cluster's alone is removed.
	before  host.Before
	cgroups host.Cgroups
}

// agents start the names of the components that would start containers or rules again while they are being removed.
var agents = []string{"kubelet-", "kube-proxy-", "kube-router-", "provisioner", "kube-controller-manager", "kube-scheduler"}

func (d *down) endAgents(ctx context.Context) error {
	return d.end(ctx, func(name string) bool {
		for _, prefix := range agents {
			if strings.HasPrefix(name, prefix) {
				return true
			}
		}
		return false
	})
}

func (d *down) endRest(ctx context.Context) error {
	if err := d.end(ctx, func(string) bool { return true }); err != nil {
		return err
	}
	// What is left in the group are containers' keepers whose containerd was gone before them.
	return d.cgroups.KillComponents(ctx)
}

// end ends the recorded processes of those names, all at once.
func (d *down) end(ctx context.Context, which func(name string) bool) error {
	names, err := d.table().Names()
	if err != nil {
		return err
	}
	var (
		all      sync.WaitGroup
		failures = make([]error, len(names))
	)
	for i, name := range names {
		if which(name) {
			all.Go(func() { failures[i] = d.table().Stop(ctx, name, grace(name)) })
		}
	}
	all.Wait()
	return errors.Join(failures...)
}

// grace is how long a process has to end by itself. The API server would wait a minute for those who watch it.
func grace(name string) time.Duration {
	if name == "kube-apiserver" {
		return time.Second
	}
	return process.DefaultGrace
}

// endContainers ends all containers, with the help of their runtime where it answers, and without it where not.
func (d *down) endContainers(ctx context.Context) error {
	var all sync.WaitGroup
	failures := make([]error, len(d.all()))
	for i, n := range d.all() {
		all.Go(func() {
			limited, cancel := context.WithTimeout(ctx, downLimit)
			defer cancel()
			failures[i] = d.cgroups.Kill(limited, n.Name)
			if _, alive := d.table().Alive("containerd-" + n.Name); alive && failures[i] == nil {
				if err := removeContainers(limited, n); err != nil {
					fmt.Fprintf(d.out, "%s: %v; its containers are removed without it\n", n.Name, err)
				}
			}
		})
	}
	all.Wait()
	return errors.Join(failures...)
}

// removeContainers lets containerd take away what it knows: tasks, which ends their keepers, then containers. It takes some away by
// itself as they end, so what was listed may be gone already; what counts is that nothing is listed in the end.
func removeContainers(ctx context.Context, n config.Node) error {
	for _, kind := range []struct{ list, remove []string }{
		{[]string{"tasks", "list", "--quiet"}, []string{"tasks", "delete", "--force"}},
		{[]string{"containers", "list", "--quiet"}, []string{"containers", "delete"}},
	} {
		for failure := error(nil); ; {
			out, err := ctr(ctx, n, kind.list...)
			if err != nil {
				return errors.Join(failure, err)
			}
			ids := strings.Fields(out)
			if len(ids) == 0 {
				break
			}
			_, failure = ctr(ctx, n, append(kind.remove, ids...)...)
		}
	}
	return nil
}

// cleanHost takes away what the cluster made outside its own directories.
func (d *down) cleanHost(ctx context.Context) error {
	return errors.Join(
		host.Unmount(d.state, d.run),
		d.network().Remove(ctx),
		d.before.RemoveRules(ctx),
		d.before.RestoreSettings(),
		d.cgroups.Remove(ctx),
		removeShimSockets(d.run),
	)
}

// removeShimSockets removes the sockets of containers' keepers, which lie outside a node's directories. Each keeper's bundle says
// where its is.
func removeShimSockets(run string) error {
	bundles, err := filepath.Glob(filepath.Join(run, "*", "containerd", "io.containerd.runtime.v2.task", "*", "*", "address"))
	if err != nil {
		return err
	}
	var failures []error
	for _, file := range bundles {
		address, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		if path, ok := strings.CutPrefix(strings.TrimSpace(string(address)), "unix:///run/containerd/s/"); ok {
			if err := os.Remove(filepath.Join("/run/containerd/s", filepath.Base(path))); err != nil && !os.IsNotExist(err) {
				failures = append(failures, err)
			}
		}
	}
	return errors.Join(failures...)
}

// removeState removes the cluster's own directories; what remembers the machine goes last, so that an interrupted Down is repeated
// whole.
func (d *down) removeState(context.Context) error {
	failures := []error{d.before.RemoveDirectories(d.state, networkName), d.release()}
	for _, path := range d.owned() {
		failures = append(failures, os.RemoveAll(path))
	}
	return errors.Join(failures...)
}
