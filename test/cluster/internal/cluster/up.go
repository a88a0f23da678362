package cluster

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/relaykeep/relaykeep/test/cluster/internal/api"
	"github.com/relaykeep/relaykeep/test/cluster/internal/build"
	"github.com/relaykeep/relaykeep/test/cluster/internal/config"
	"github.com/relaykeep/relaykeep/test/cluster/internal/host"
	"github.com/relaykeep/relaykeep/test/cluster/internal/pki"
	"github.com/relaykeep/relaykeep/test/cluster/internal/step"
)

// Cluster is the local cluster whose state is in one directory.
type Cluster struct {
	layout
	cache *build.Cache
	// out is told what is being done.
	out io.Writer
}

// New returns the cluster whose state is in that directory; it need not exist. Programs come from the cache.
func New(state string, cache *build.Cache, out io.Writer) (*Cluster, error) {
	l, err := newLayout(state)
	if err != nil {
		return nil, err
	}
	return &Cluster{layout: l, cache: cache, out: out}, nil
}

// Kubeconfig is the path of the administrator's kubeconfig file.
func (c *Cluster) Kubeconfig() string { return c.kubeconfig() }

// needed are the programs that the cluster runs.
var needed = []string{"pause", "probe", "etcd", "coredns", "kube-router", "provisioner", "kubernetes"}

// Up makes the cluster run: what runs and is as it should be stays, the rest is started or restarted. It may be cut short at any
// moment and called again.
func (c *Cluster) Up(ctx context.Context) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("a cluster of real nodes needs root: namespaces, mounts and firewall rules")
	}
	if err := host.Install(ctx, c.out, nil); err != nil {
		return err
	}
	programs, err := c.build(ctx)
	if err != nil {
		return err
	}
	unlock, err := c.acquire(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := c.begin(ctx); err != nil {
		return err
	}
	u, err := c.prepare(programs)
	if err != nil {
		return err
	}
	return step.Run(ctx, c.out, u.steps())
}

// begin makes the machine this cluster's and remembers how it was. What is left of clusters that lost their state, and with it the
// records of their processes, is taken away first.
func (c *Cluster) begin(ctx context.Context) error {
	lost, err := c.claim()
	if err != nil {
		return err
	}
	for _, state := range lost {
		if err := c.clear(ctx, state); err != nil {
			return err
		}
	}
	if c.exists() {
		return nil
	}
	// Taking down may have taken the claim away, and the logs are those of the cluster before this one.
	if _, err := c.claim(); err != nil {
		return err
	}
	if err := os.RemoveAll(c.logs()); err != nil {
		return err
	}
	if _, err := host.Remember(ctx, c.before()); err != nil {
		return fmt.Errorf("looking at the machine: %w", err)
	}
	return nil
}

// clear takes away what is left of a cluster without state.
func (c *Cluster) clear(ctx context.Context, state string) error {
	l, err := newLayout(state)
	if err != nil {
		return err
	}
	left := &Cluster{layout: l, cache: c.cache, out: c.out}
	groups, err := left.groups()
	if err != nil {
		return err
	}
	if busy, err := groups.Busy(); err != nil || !busy {
		return err
	}
	fmt.Fprintln(c.out, "taking away what is left of a cluster whose state was in", state)
	return left.takeDown(ctx)
}

// groups are the cluster's control groups.
func (c *Cluster) groups() (host.Cgroups, error) {
	var names []string
	for _, n := range c.all() {
		names = append(names, n.Name)
	}
	return host.FindCgroups(cgroupRoot, names)
}

func (c *Cluster) build(ctx context.Context) (programs, error) {
	var specs []build.Spec
	for _, name := range needed {
		s, err := build.Find(name)
		if err != nil {
			return nil, err
		}
		specs = append(specs, s)
	}
	return c.cache.Ensure(ctx, specs)
}

// up is one run of Up.
type up struct {
	components
	cgroups host.Cgroups
	params  config.Params
	api     *api.Client
	// containerdProgram is the machine's.
	containerdProgram string
	archives          map[string]string
}

// prepare works out everything that does not change the machine, and makes the certificates.
func (c *Cluster) prepare(p programs) (*up, error) {
	cgroups, err := c.groups()
	if err != nil {
		return nil, err
	}
	u := &up{components: components{layout: c.layout, programs: p, cgroup: cgroups.Components()}, cgroups: cgroups}
	if u.containerdProgram, err = host.Program("containerd"); err != nil {
		return nil, err
	}
	store, _, err := pki.Open(c.pki(), c.plan(), time.Now())
	if err != nil {
		return nil, err
	}
	tls, err := store.AdminTLS()
	if err != nil {
		return nil, err
	}
	u.api = api.New(localURL, tls)
	if err := u.fillParams(); err != nil {
		return nil, err
	}
	return u, nil
}

func (u *up) fillParams() error {
	plugins, err := host.CNIPlugins()
	if err != nil {
		return err
	}
	snapshotter, err := host.Snapshotter(u.state)
	if err != nil {
		return err
	}
	resolvConf, forward := host.Resolver()
	u.params = config.Params{
		PKI: u.pki(), Logs: u.logs(), CNIPlugins: plugins, ResolvConf: resolvConf, Forward: forward, Snapshotter: snapshotter,
		NetworkName: networkName,
		PodRange:    podRange, NodeRange: nodeRange, ServiceRange: serviceRange,
		DNSAddress: dnsService, HostAddress: hostAddress, HostZone: hostZone,
		PauseImage: u.pauseImage(), CoreDNSImage: u.coreDNSImage(), ToolsImage: u.toolsImage(),
		Nodes: u.all(),
	}
	return nil
}

// steps are everything that makes the cluster run, in an order in which it could be done.
func (u *up) steps() []step.Step {
	steps := []step.Step{
		{Name: "control groups", Ensure: u.ensureCgroups},
		{Name: "network", Ensure: u.ensureNetwork},
		{Name: "images", Ensure: u.ensureArchives},
		{Name: "etcd", After: []string{"control groups"}, Ensure: u.ensureEtcd},
		{Name: "kube-apiserver", After: []string{"etcd", "network"}, Limit: 3 * time.Minute, Ensure: u.ensureAPIServer},
		{Name: "kubeconfig", After: []string{"kube-apiserver"}, Ensure: u.ensureKubeconfig},
		{Name: "access", After: []string{"kube-apiserver"}, Ensure: u.ensureObjects(config.Access)},
		{Name: "kube-controller-manager", After: []string{"kube-apiserver"}, Ensure: u.ensureControllerManager},
		{Name: "kube-scheduler", After: []string{"kube-apiserver"}, Ensure: u.ensureScheduler},
		{Name: "storage classes", After: []string{"access"}, Ensure: u.ensureObjects(config.Storage)},
		{Name: "provisioner", After: []string{"storage classes"}, Ensure: u.ensureProvisioner},
	}
	ready := []string{"kube-controller-manager", "kube-scheduler", "provisioner"}
	for _, n := range u.all() {
		on := func(what string) string { return n.Name + ": " + what }
		steps = append(steps, []step.Step{
			{Name: on("containerd"), After: []string{"control groups", "network"}, Ensure: u.ensureContainerd(n)},
			{Name: on("images"), After: []string{"images", on("containerd")}, Limit: 3 * time.Minute, Ensure: u.ensureImages(n)},
			{Name: on("kube-proxy"), After: []string{"access"}, Ensure: u.ensureProxy(n)},
			{
				Name: on("kubelet"), After: []string{"access", on("images")}, Limit: 3 * time.Minute,
				Ensure: u.ensureKubelet(n),
			},
			{Name: on("labels"), After: []string{on("kubelet")}, Ensure: u.ensureLabels(n)},
			// It ends by itself where it does not find its node.
			{Name: on("kube-router"), After: []string{on("kubelet")}, Ensure: u.ensureRouter(n)},
		}...)
		ready = append(ready, on("kube-proxy"), on("kube-router"), on("labels"))
	}
	return append(steps, step.Step{Name: "DNS", After: ready, Limit: 3 * time.Minute, Ensure: u.ensureDNS})
}

// writeNodeFiles writes a node's configuration.
func (u *up) writeNodeFiles(n config.Node) error {
	files, err := config.NodeFiles(u.params, n)
	if err != nil {
		return err
	}
	for name, content := range files {
		path := filepath.Join(n.Config, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if _, err := writeChanged(path, content, 0o644); err != nil {
			return err
		}
	}
	for _, dir := range []string{n.Run, n.Volumes(), filepath.Join(n.Data, "kubelet")} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return err
		}
	}
	return nil
}

// writeChanged writes a file, in one step, unless it has that content already: components watch their files, and end when one is
// written. It reports whether it wrote.
func writeChanged(path string, content []byte, mode os.FileMode) (bool, error) {
	if current, err := os.ReadFile(path); err == nil && bytes.Equal(current, content) {
		return false, nil
	}
	if err := os.WriteFile(path+".new", content, mode); err != nil {
		return false, err
	}
	return true, os.Rename(path+".new", path)
}
