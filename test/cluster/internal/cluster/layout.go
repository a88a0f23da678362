// Package cluster puts the local cluster together from its parts, brings it up, tells how it is and takes it down again.
package cluster

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"

	"github.com/relaykeep/relaykeep/test/cluster/internal/config"
	"github.com/relaykeep/relaykeep/test/cluster/internal/host"
	"github.com/relaykeep/relaykeep/test/cluster/internal/pki"
	"github.com/relaykeep/relaykeep/test/cluster/internal/process"
)

// The cluster's addresses. There is one cluster on a machine: the first node is the machine itself.
const (
	hostAddress  = "10.99.0.1"
	nodeAddress  = "10.99.0.2"
	nodeRange    = "10.99.0.0/24"
	podRange     = "10.244.0.0/16"
	serviceRange = "10.96.0.0/16"
	apiService   = "10.96.0.1"
	dnsService   = "10.96.0.10"
	apiPort      = "6443"
	etcdURL      = "https://127.0.0.1:12379"
	etcdPeerURL  = "https://127.0.0.1:12380"
	// localURL is the API server's for this machine, nodeURL for everybody else.
	localURL = "https://127.0.0.1:" + apiPort
	nodeURL  = "https://" + hostAddress + ":" + apiPort
	// hostZone is the domain whose names all mean this machine, for services that run beside the cluster.
	hostZone = "relay.test"
	// networkName is the pods' network's.
	networkName = "relaykeep"
)

// layout says where everything of one cluster is.
type layout struct {
	// state is the directory of all that survives a reboot, run that of sockets, whose paths must be short.
	state, run string
}

func newLayout(state string) (layout, error) {
	state, err := filepath.Abs(state)
	if err != nil {
		return layout{}, err
	}
	sum := sha256.Sum256([]byte(state))
	return layout{state: state, run: filepath.Join(runRoot, hex.EncodeToString(sum[:4]))}, nil
}

const runRoot = "/run/relaykeep-cluster"

func (l layout) pki() string        { return filepath.Join(l.state, "pki") }
func (l layout) etcd() string       { return filepath.Join(l.state, "etcd") }
func (l layout) logs() string       { return filepath.Join(l.state, "log") }
func (l layout) nodes() string      { return filepath.Join(l.state, "nodes") }
func (l layout) images() string     { return filepath.Join(l.state, "images") }
func (l layout) kubeconfig() string { return filepath.Join(l.state, "kubeconfig") }
func (l layout) before() string     { return filepath.Join(l.state, "before.json") }
func (l layout) lock() string       { return filepath.Join(l.state, "lock") }

func (l layout) table() process.Table { return process.Table{Dir: filepath.Join(l.state, "run")} }

func (l layout) log(component string) string {
	return filepath.Join(l.logs(), component+".log")
}

// owned is everything below state that the cluster makes but its logs, which are for reading afterwards.
func (l layout) owned() []string {
	return []string{l.pki(), l.pki() + ".making", l.etcd(), l.nodes(), l.images(), l.kubeconfig(), filepath.Join(l.state, "run"), l.before()}
}

// node describes a node.
func (l layout) node(name, label, region, address string, pods int) config.Node {
	run := filepath.Join(l.run, name)
	data := filepath.Join(l.nodes(), name)
	return config.Node{
		Name: name, Label: label, Region: region, Zone: region + "a", Address: address,
		PodRange: fmt.Sprintf("10.244.%d.0/24", pods),
		Data:     data, Run: run, Config: filepath.Join(data, "config"),
		Socket: filepath.Join(run, "containerd.sock"), Cgroup: cgroupRoot + "/" + name,
	}
}

// cgroupRoot is the control group of everything of the cluster.
const cgroupRoot = "/relaykeep"

// all are the nodes, the machine itself first.
func (l layout) all() []config.Node {
	return []config.Node{
		l.node("na-1", "na", "us-east-1", hostAddress, 1),
		l.node("eu-1", "eu", "eu-central-1", nodeAddress, 2),
	}
}

// network is the wire to the second node.
func (l layout) network() host.Network {
	second := l.all()[1]
	return host.Network{
		Namespace: "relaykeep-" + second.Name, HostLink: "rk-na-1", NodeLink: "rk-eu-1",
		HostAddress: netip.MustParsePrefix(hostAddress + "/24"), NodeAddress: netip.MustParsePrefix(nodeAddress + "/24"),
		NodePods: netip.MustParsePrefix(second.PodRange),
	}
}

// namespace is the file of a node's network namespace, empty for the machine's own.
func (l layout) namespace(n config.Node) string {
	if n.Address == hostAddress {
		return ""
	}
	return l.network().NamespaceFile()
}

// plan says what certificates the cluster needs.
func (l layout) plan() pki.Plan {
	addresses := map[string]net.IP{}
	for _, n := range l.all() {
		addresses[n.Name] = net.ParseIP(n.Address)
	}
	return pki.Plan{
		Server: nodeURL,
		ServerNames: []string{
			"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
		},
		ServerAddresses: []net.IP{net.ParseIP("127.0.0.1"), net.ParseIP(hostAddress), net.ParseIP(apiService)},
		Nodes:           addresses,
	}
}
