package host

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Cgroups is the tree of control groups that everything of the cluster is in, whichever version of them the machine has. It is what
// finds the containers again when nothing else does.
type Cgroups struct {
	// Root is the tree's path in every hierarchy, "/relaykeep".
	Root string
	// Nodes are the names of the groups below it that kubelets manage.
	Nodes []string
	// mounts are where the hierarchies are.
	mounts []hierarchy
}

type hierarchy struct {
	path        string
	controllers []string
	unified     bool
}

// components is the group that the cluster's own processes are in.
const components = "components"

// FindCgroups looks where the machine keeps its control groups.
func FindCgroups(root string, nodes []string) (Cgroups, error) {
	f, err := os.Open("/proc/self/mounts")
	if err != nil {
		return Cgroups{}, err
	}
	defer f.Close()
	mounts, err := parseMounts(f)
	if err != nil {
		return Cgroups{}, err
	}
	if len(mounts) == 0 {
		return Cgroups{}, errors.New("no control groups are mounted at /sys/fs/cgroup")
	}
	return Cgroups{Root: root, Nodes: nodes, mounts: mounts}, nil
}

// parseMounts takes the control group hierarchies out of the content of /proc/self/mounts.
func parseMounts(r io.Reader) ([]hierarchy, error) {
	var found []hierarchy
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[1], "/sys/fs/cgroup") {
			continue
		}
		switch fields[2] {
		case "cgroup":
			found = append(found, hierarchy{path: fields[1], controllers: strings.Split(fields[3], ",")})
		case "cgroup2":
			found = append(found, hierarchy{path: fields[1], unified: true})
		}
	}
	return found, lines.Err()
}

// Ensure makes the tree.
func (c Cgroups) Ensure() error {
	for _, m := range c.mounts {
		if m.unified && len(c.mounts) > 1 {
			// Beside version 1 hierarchies this one has no controllers.
			continue
		}
		for _, name := range append([]string{components}, c.Nodes...) {
			if err := m.make(c.Root, name); err != nil {
				return fmt.Errorf("making the control group %s/%s in %s: %w", c.Root, name, m.path, err)
			}
		}
	}
	return nil
}

// make makes root/name, and lets it use all controllers.
func (m hierarchy) make(root, name string) error {
	dir := m.path
	for part := range strings.SplitSeq(strings.Trim(root, "/")+"/"+name, "/") {
		if m.unified {
			if err := delegate(dir); err != nil {
				return err
			}
		}
		parent := dir
		dir = filepath.Join(dir, part)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if slices.Contains(m.controllers, "cpuset") {
			// A new group of version 1 has no processors and no memory at all until it is told which.
			for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
				if err := inherit(parent, dir, file); err != nil {
					return err
				}
			}
		}
	}
	if m.unified && name != components {
		return delegate(dir)
	}
	return nil
}

// delegate lets the groups in dir use the controllers that dir has.
func delegate(dir string) error {
	available, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return err
	}
	for controller := range strings.FieldsSeq(string(available)) {
		err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+controller), 0)
		// Some controllers cannot be handed down on some kernels; a kubelet names those that it misses.
		if err != nil && slices.Contains([]string{"cpu", "memory", "pids"}, controller) {
			return err
		}
	}
	return nil
}

// inherit copies a setting that is still empty from the parent.
func inherit(parent, dir, file string) error {
	current, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return err
	}
	if strings.TrimSpace(string(current)) != "" {
		return nil
	}
	value, err := os.ReadFile(filepath.Join(parent, file))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, file), value, 0)
}

// Components is the cgroup.procs file of the group that the cluster's own processes are in. In version 1 that is the one of a single
// hierarchy, which is enough to find them by.
func (c Cgroups) Components() string {
	m := c.mounts[0]
	for _, candidate := range c.mounts {
		if candidate.unified && len(c.mounts) == 1 || slices.Contains(candidate.controllers, "pids") {
			m = candidate
		}
	}
	return filepath.Join(m.path, c.Root, components, "cgroup.procs")
}

// Kill ends every process in the group below root, whatever it is: nothing but the cluster puts one there.
func (c Cgroups) Kill(ctx context.Context, name string) error {
	for {
		pids, err := c.processes(name)
		if err != nil || len(pids) == 0 {
			return err
		}
		for _, pid := range pids {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("ending process %d of %s: %w", pid, name, err)
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// processes are those in the group root/name and all below it.
func (c Cgroups) processes(name string) ([]int, error) {
	seen := make(map[int]bool)
	for _, m := range c.mounts {
		err := filepath.WalkDir(filepath.Join(m.path, c.Root, name), func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || e.Name() != "cgroup.procs" {
				return gone(err)
			}
			content, err := os.ReadFile(path)
			if err != nil {
				return gone(err)
			}
			for field := range strings.FieldsSeq(string(content)) {
				// Zero is a process of another process namespace.
				if pid, err := strconv.Atoi(field); err == nil && pid > 1 {
					seen[pid] = true
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	pids := make([]int, 0, len(seen))
	for pid := range seen {
		pids = append(pids, pid)
	}
	return pids, nil
}

// Busy tells whether any process of a cluster runs.
func (c Cgroups) Busy() (bool, error) {
	pids, err := c.processes("")
	return len(pids) > 0, err
}

// KillComponents ends what is left of the cluster's own processes.
func (c Cgroups) KillComponents(ctx context.Context) error { return c.Kill(ctx, components) }

// Remove removes the tree from every hierarchy. It must be empty of processes.
func (c Cgroups) Remove(ctx context.Context) error {
	var failures []error
	for _, m := range c.mounts {
		failures = append(failures, removeTree(ctx, filepath.Join(m.path, c.Root)))
	}
	return errors.Join(failures...)
}

// removeTree removes a group and those in it, deepest first. A process that was just killed may hold its group for a moment.
func removeTree(ctx context.Context, root string) error {
	for {
		var dirs []string
		err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if err == nil && e.IsDir() {
				dirs = append(dirs, path)
			}
			return gone(err)
		})
		if err != nil || len(dirs) == 0 {
			return err
		}
		var failure error
		for _, dir := range slices.Backward(dirs) {
			if err := gone(os.Remove(dir)); err != nil && failure == nil {
				failure = err
			}
		}
		if failure == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return failure
		case <-time.After(50 * time.Millisecond):
		}
	}
}
