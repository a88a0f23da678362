package cluster

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
)

func TestSocketsHaveShortPathsHoweverLongTheStatesIs(t *testing.T) {
	l, err := newLayout("/" + strings.Repeat("very-long/", 30))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range l.all() {
		// A socket's path has 108 bytes (unix(7)), the last of them zero; keepers of containers add to the directory.
		if len(n.Socket)+len(".ttrpc") > 80 {
			t.Errorf("%s has %d bytes", n.Socket, len(n.Socket))
		}
	}
}

func TestStates_HaveTheirOwnPlacesForSockets(t *testing.T) {
	first, err := newLayout("/a")
	if err != nil {
		t.Fatal(err)
	}
	second, err := newLayout("/b")
	if err != nil {
		t.Fatal(err)
	}
	if first.run == second.run {
		t.Errorf("both use %s", first.run)
	}
}

func TestEverythingButLogsAndTheLockIsTakenDown(t *testing.T) {
	l, err := newLayout("/state")
	if err != nil {
		t.Fatal(err)
	}
	owned := make(map[string]bool)
	for _, path := range l.owned() {
		owned[path] = true
	}
	for _, path := range []string{l.pki(), l.etcd(), l.nodes(), l.images(), l.kubeconfig(), l.before(), l.table().Dir} {
		if !owned[path] {
			t.Errorf("%s is not taken down", path)
		}
	}
	for _, path := range []string{l.state, l.logs(), l.lock()} {
		if owned[path] {
			t.Errorf("%s is taken down", path)
		}
	}
	// An interrupted Down is repeated only while this is there.
	if last := l.owned()[len(l.owned())-1]; last != l.before() {
		t.Errorf("%s goes last", last)
	}
}

func TestAddressesFitTogether(t *testing.T) {
	l, err := newLayout("/state")
	if err != nil {
		t.Fatal(err)
	}
	pods, nodes, services := netip.MustParsePrefix(podRange), netip.MustParsePrefix(nodeRange), netip.MustParsePrefix(serviceRange)
	if pods.Overlaps(nodes) || pods.Overlaps(services) || nodes.Overlaps(services) {
		t.Error("ranges overlap")
	}
	seen := map[string]bool{}
	for _, n := range l.all() {
		if !nodes.Contains(netip.MustParseAddr(n.Address)) {
			t.Errorf("%s has the address %s", n.Name, n.Address)
		}
		own := netip.MustParsePrefix(n.PodRange)
		if !pods.Contains(own.Addr()) || seen[n.PodRange] {
			t.Errorf("%s has the pod range %s", n.Name, own)
		}
		seen[n.PodRange] = true
	}
	for _, address := range []string{apiService, dnsService} {
		if !services.Contains(netip.MustParseAddr(address)) {
			t.Errorf("%s is no service's address", address)
		}
	}
	for _, link := range []string{l.network().HostLink, l.network().NodeLink} {
		if len(link) > 15 {
			t.Errorf("the kernel refuses the name %s", link)
		}
	}
}

func TestNodes_FirstIsTheMachineItself(t *testing.T) {
	l, err := newLayout("/state")
	if err != nil {
		t.Fatal(err)
	}
	nodes := l.all()
	if got := l.namespace(nodes[0]); got != "" {
		t.Errorf("%s is in %s", nodes[0].Name, got)
	}
	if got := l.namespace(nodes[1]); got != "/run/netns/relaykeep-eu-1" {
		t.Errorf("%s is in %q", nodes[1].Name, got)
	}
}

func TestServerCertificate_NamesAllThatItIsReachedBy(t *testing.T) {
	l, err := newLayout("/state")
	if err != nil {
		t.Fatal(err)
	}
	p := l.plan()
	var all []string
	all = append(all, p.ServerNames...)
	for _, address := range p.ServerAddresses {
		all = append(all, address.String())
	}
	text := " " + strings.Join(all, " ") + " "
	for _, want := range []string{"127.0.0.1", "10.99.0.1", "10.96.0.1", "localhost", "kubernetes.default.svc"} {
		if !strings.Contains(text, " "+want+" ") {
			t.Errorf("%s is not in %v", want, all)
		}
	}
	if len(p.Nodes) != 2 {
		t.Errorf("nodes are %v", p.Nodes)
	}
}

func TestStateMayBeGivenRelatively(t *testing.T) {
	t.Chdir(t.TempDir())
	l, err := newLayout("x")
	if err != nil || !filepath.IsAbs(l.state) {
		t.Errorf("got %s, %v", l.state, err)
	}
}
