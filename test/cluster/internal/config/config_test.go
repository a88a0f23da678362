package config

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func params() Params {
	return Params{
		PKI: "/state/pki", Logs: "/state/log", CNIPlugins: "/usr/lib/cni", NetworkName: "relaykeep",
		ResolvConf: "/etc/resolv.conf", Forward: true, Snapshotter: "overlayfs",
		PodRange: "10.244.0.0/16", NodeRange: "10.99.0.0/24", ServiceRange: "10.96.0.0/16",
		DNSAddress: "10.96.0.10", HostAddress: "10.99.0.1", HostZone: "relay.test",
		PauseImage: "registry.test/pause:1", CoreDNSImage: "registry.test/coredns:1", ToolsImage: "registry.test/tools:v1",
		Nodes: []Node{node("na-1", "na", "us-east-1", "10.99.0.1", "10.244.1.0/24"), node("eu-1", "eu", "eu-central-1", "10.99.0.2", "10.244.2.0/24")},
	}
}

func node(name, label, region, address, pods string) Node {
	return Node{
		Name: name, Label: label, Region: region, Zone: region + "a", Address: address, PodRange: pods,
		Data: "/state/nodes/" + name, Run: "/run/x/" + name, Config: "/state/nodes/" + name + "/config",
		Socket: "/run/x/" + name + "/containerd.sock", Cgroup: "/relaykeep/" + name,
	}
}

// golden compares with a file of testdata, or writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: go test ./internal/config -update writes it", err)
	}
	if string(got) != string(want) {
		t.Errorf("%s is not what it was (go test ./internal/config -update, and look at the difference):\n%s", name, got)
	}
}

func TestNodeFilesAreAsReviewed(t *testing.T) {
	p := params()
	for _, n := range p.Nodes {
		files, err := NodeFiles(p, n)
		if err != nil {
			t.Fatal(err)
		}
		if len(files) != len(perNode) {
			t.Errorf("%d files, want %d", len(files), len(perNode))
		}
		for path, content := range files {
			golden(t, n.Name+"-"+filepath.Base(path), content)
		}
	}
}

func TestFirewallIsAsReviewed(t *testing.T) {
	content, err := Firewall(params())
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "nftables.nft", content)
}

func TestObjectsAreAsReviewed(t *testing.T) {
	for name, render := range map[string]func(Params) ([]Object, error){"access": Access, "storage": Storage, "dns": DNS} {
		objects, err := render(params())
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, o := range objects {
			all = append(all, string(o.Body))
		}
		golden(t, name+".yaml", []byte(strings.Join(all, "\n---\n")))
	}
}

func TestObject_PathEndsWithItsName(t *testing.T) {
	for _, render := range []func(Params) ([]Object, error){Access, Storage, DNS} {
		objects, err := render(params())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range objects {
			name := o.Path[strings.LastIndexByte(o.Path, '/')+1:]
			if !strings.Contains(string(o.Body), "\n  name: "+name+"\n") {
				t.Errorf("%s: the object has another name:\n%s", o.Path, o.Body)
			}
			namespaced := strings.Contains(o.Path, "/namespaces/") && !strings.HasSuffix(o.Path, "/namespaces/"+name)
			if namespaced != strings.Contains(string(o.Body), "\n  name: "+name+"\n  namespace: ") {
				t.Errorf("%s: path and object disagree about a namespace", o.Path)
			}
		}
	}
}

func TestRegions_HaveAClassThatStaysThere(t *testing.T) {
	objects, err := Storage(params())
	if err != nil {
		t.Fatal(err)
	}
	for class, region := range map[string]string{"relaykeep-na": "us-east-1", "relaykeep-eu": "eu-central-1"} {
		found := false
		for _, o := range objects {
			if strings.HasSuffix(o.Path, "/storageclasses/"+class) {
				found = strings.Contains(string(o.Body), "key: topology.kubernetes.io/region\n    values: ["+region+"]")
			}
		}
		if !found {
			t.Errorf("no class %s that stays in %s", class, region)
		}
	}
}

func TestNames_AreNotForwardedWithoutAReachableServer(t *testing.T) {
	p := params()
	p.Forward = false
	objects, err := DNS(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		if strings.Contains(string(o.Body), "forward .") {
			t.Errorf("%s forwards: it would ask itself in a loop", o.Path)
		}
	}
}

func TestObject_WithoutAPathIsRefused(t *testing.T) {
	for _, manifest := range []string{"", "kind: Namespace", "# PATCH /a\nkind: A\n---\nkind: B", "#PATCH /a"} {
		if got, err := split("x", manifest); err == nil {
			t.Errorf("%q: got %v", manifest, got)
		}
	}
}
