package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Network is the wire between the machine, which is the first node, and the second node's network namespace.
type Network struct {
	// Namespace is the second node's network namespace.
	Namespace string
	// HostLink and NodeLink are the two ends of the wire, at most 15 bytes each.
	HostLink, NodeLink string
	// HostAddress and NodeAddress are the ends' addresses, in one network.
	HostAddress, NodeAddress netip.Prefix
	// NodePods are the addresses of the second node's pods.
	NodePods netip.Prefix
}

// NamespaceFile is the file that stands for the second node's network namespace.
func (n Network) NamespaceFile() string { return filepath.Join("/run/netns", n.Namespace) }

// Ensure makes the wire and its routes, and reports whether any of it was missing.
func (n Network) Ensure(ctx context.Context) (made bool, err error) {
	if !isNamespace(n.NamespaceFile()) {
		if err := n.makeNamespace(ctx); err != nil {
			return false, err
		}
		made = true
	}
	if !n.wired(ctx) {
		// One end without the other is what an interruption left.
		if err := n.cut(ctx); err != nil {
			return false, err
		}
		_, err := command(ctx, "", "ip", "link", "add", n.HostLink, "type", "veth", "peer", "name", n.NodeLink, "netns", n.Namespace)
		if err != nil {
			return false, err
		}
		made = true
	}
	return made, n.configure(ctx)
}

// makeNamespace makes the network namespace. The file of a namespace that is gone, as after a reboot, is in the way of a new one.
func (n Network) makeNamespace(ctx context.Context) error {
	if err := os.Remove(n.NamespaceFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_, err := command(ctx, "", "ip", "netns", "add", n.Namespace)
	return err
}

// wired tells whether both ends are where they belong.
func (n Network) wired(ctx context.Context) bool {
	_, here := command(ctx, "", "ip", "link", "show", n.HostLink)
	_, there := command(ctx, "", "ip", "-n", n.Namespace, "link", "show", n.NodeLink)
	return here == nil && there == nil
}

// configure gives both ends addresses and routes. All of it may be done again.
func (n Network) configure(ctx context.Context) error {
	here := []string{
		fmt.Sprintf("address replace %s dev %s", n.HostAddress, n.HostLink),
		fmt.Sprintf("link set %s up", n.HostLink),
	}
	there := []string{
		"link set lo up",
		fmt.Sprintf("address replace %s dev %s", n.NodeAddress, n.NodeLink),
		fmt.Sprintf("link set %s up", n.NodeLink),
		fmt.Sprintf("route replace default via %s", n.HostAddress.Addr()),
	}
	// The route needs the other end up.
	last := []string{fmt.Sprintf("route replace %s via %s", n.NodePods, n.NodeAddress.Addr())}
	for _, batch := range []struct {
		args  []string
		lines []string
	}{{nil, here}, {[]string{"-n", n.Namespace}, there}, {nil, last}} {
		if _, err := command(ctx, strings.Join(batch.lines, "\n")+"\n", "ip", append(batch.args, "-batch", "-")...); err != nil {
			return err
		}
	}
	if _, err := command(ctx, "", "ip", "netns", "exec", n.Namespace, "sh", "-c", "echo 1 >"+setting(forwarding)); err != nil {
		return fmt.Errorf("letting the second node forward: %w", err)
	}
	return nil
}

// Remove takes the wire and the namespace away, with everything that is in the namespace.
func (n Network) Remove(ctx context.Context) error {
	failures := []error{n.cut(ctx)}
	if _, err := os.Stat(n.NamespaceFile()); err == nil {
		if _, err := command(ctx, "", "ip", "netns", "delete", n.Namespace); err != nil {
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

// cut deletes the wire, if there is one. The kernel may do so too, at any moment after the namespace of the other end was deleted.
func (n Network) cut(ctx context.Context) error {
	_, err := command(ctx, "", "ip", "link", "delete", n.HostLink)
	if _, none := command(ctx, "", "ip", "link", "show", n.HostLink); none == nil {
		return err
	}
	return nil
}

// isNamespace tells whether the file stands for a namespace rather than for one that was.
func isNamespace(file string) bool {
	var s unix.Statfs_t
	return unix.Statfs(file, &s) == nil && s.Type == unix.NSFS_MAGIC
}
