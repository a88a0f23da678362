package host

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
)

// asRoot skips what only root can try.
func asRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes network namespaces")
	}
	if missing := Missing(t.Context(), nil); len(missing) > 0 {
		t.Skipf("needs %v: cluster packages installs them", missing)
	}
}

// newNamespace makes a network namespace that goes with the test. Its name is nobody else's, also if a run that was killed left one.
func newNamespace(t *testing.T) string {
	t.Helper()
	asRoot(t)
	n := Network{Namespace: "rk-test-" + strings.ToLower(rand.Text()), HostLink: "rk-none"}
	if _, err := command(t.Context(), "", "ip", "netns", "add", n.Namespace); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The test's context has ended by now.
		if err := n.Remove(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return n.Namespace
}

// testNetwork is a network beside the cluster's own.
func testNetwork(t *testing.T) Network {
	t.Helper()
	asRoot(t)
	pid := os.Getpid() % 100000
	return Network{
		Namespace: fmt.Sprintf("rk-test-net-%d", pid), HostLink: fmt.Sprintf("rkt%dh", pid), NodeLink: fmt.Sprintf("rkt%dn", pid),
		HostAddress: netip.MustParsePrefix("198.51.100.241/30"), NodeAddress: netip.MustParsePrefix("198.51.100.242/30"),
		NodePods: netip.MustParsePrefix("203.0.113.0/28"),
	}
}

func ensureNetwork(t *testing.T, n Network) (made bool) {
	t.Helper()
	made, err := n.Ensure(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out, err := command(t.Context(), "", "ip", "route", "get", "203.0.113.1")
	if err != nil || !strings.Contains(out, "via 198.51.100.242 dev "+n.HostLink) {
		t.Errorf("pods of the second node are reached by %q, %v", out, err)
	}
	out, err = command(t.Context(), "", "ip", "-n", n.Namespace, "route")
	if err != nil || !strings.Contains(out, "default via 198.51.100.241") {
		t.Errorf("the second node's routes are %q, %v", out, err)
	}
	out, err = inNamespace(t.Context(), n.NamespaceFile(), "cat", setting(forwarding))
	if err != nil || strings.TrimSpace(out) != "1" {
		t.Errorf("the second node forwards: %q, %v", out, err)
	}
	return made
}

func TestWire_IsMadeOnceRepairedAndRemoved(t *testing.T) {
	n := testNetwork(t)
	defer func() { _ = n.Remove(t.Context()) }()
	if !ensureNetwork(t, n) {
		t.Error("nothing was made at first")
	}
	if ensureNetwork(t, n) {
		t.Error("made again")
	}
	for what, harm := range map[string][]string{
		"without wire":    {"link", "delete", n.HostLink},
		"without far end": {"-n", n.Namespace, "link", "set", n.NodeLink, "name", "elsewhere"},
		"without node":    {"netns", "delete", n.Namespace},
	} {
		if _, err := command(t.Context(), "", "ip", harm...); err != nil {
			t.Fatal(err)
		}
		if !ensureNetwork(t, n) {
			t.Errorf("%s: nothing was mended", what)
		}
	}
	for range 2 {
		if err := n.Remove(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	out, err := command(t.Context(), "", "ip", "-o", "link")
	if err != nil || strings.Contains(out, n.HostLink) || strings.Contains(out, n.NodeLink) {
		t.Errorf("left are %s, %v", out, err)
	}
	if _, err := os.Stat(n.NamespaceFile()); err == nil {
		t.Error("the namespace is left")
	}
}

func TestNamespace_StaleFileIsReplaced(t *testing.T) {
	n := testNetwork(t)
	defer func() { _ = n.Remove(t.Context()) }()
	if err := os.MkdirAll(names, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(n.NamespaceFile(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if !ensureNetwork(t, n) {
		t.Error("nothing was made")
	}
}
