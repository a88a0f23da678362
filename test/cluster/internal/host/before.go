package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Before is what was there before the cluster: what must be there after it.
type Before struct {
	// Settings are the kernel's, by their path below /proc/sys, of those that components change (see settings).
	Settings map[string]string `json:"settings"`
	// Tables are the firewall's, as "family name".
	Tables []string `json:"tables"`
	// Directories are those of the fixed ones (see directories) that there were.
	Directories []string `json:"directories"`
	// NamesMounted is whether /run/netns was a mount of its own, which the first named network namespace makes it.
	NamesMounted bool `json:"namesMounted"`
}

// directories are those that components make at fixed places, children before parents.
var directories = []string{
	"/var/lib/kubelet/device-plugins", "/var/lib/kubelet/pod-resources", "/var/lib/kubelet/pki", "/var/lib/kubelet",
	"/var/log/containers", "/var/log/pods", "/run/containerd/s", "/run/containerd/fifo",
	"/run/containerd", "/var/lib/cni/results", "/var/lib/cni", names,
}

// settings are the kernel's that are changed: the first by this package, the others by kubelets, which want a machine to start
// rather than to hang.
var settings = []string{
	"net/ipv4/ip_forward", "net/ipv4/conf/all/route_localnet",
	"vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops",
	"kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes",
	"net/netfilter/nf_conntrack_tcp_be_liberal",
}

const forwarding = "net/ipv4/ip_forward"

// setting is the file of a kernel setting.
func setting(name string) string { return filepath.Join("/proc/sys", name) }

// names is the directory of named network namespaces.
const names = "/run/netns"

// Remember returns what was there before the cluster. The first call, before anything is changed, looks and writes it to the file;
// later ones read it.
func Remember(ctx context.Context, file string) (Before, error) {
	var b Before
	content, err := os.ReadFile(file)
	if err == nil {
		if err := json.Unmarshal(content, &b); err != nil {
			return Before{}, fmt.Errorf("reading %s: %w", file, err)
		}
		return b, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return Before{}, err
	}
	if b, err = look(ctx); err != nil {
		return Before{}, err
	}
	content, err = json.MarshalIndent(b, "", "  ")
	if err != nil {
		return Before{}, err
	}
	temporary := file + ".new"
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return Before{}, err
	}
	if err := os.WriteFile(temporary, append(content, '\n'), 0o600); err != nil {
		return Before{}, err
	}
	return b, os.Rename(temporary, file)
}

func look(ctx context.Context) (Before, error) {
	b := Before{Settings: make(map[string]string)}
	for _, name := range settings {
		value, err := os.ReadFile(setting(name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Before{}, err
		}
		b.Settings[name] = strings.TrimSpace(string(value))
	}
	var err error
	if b.Tables, err = tables(ctx); err != nil {
		return Before{}, err
	}
	if b.NamesMounted, err = mounted(names); err != nil {
		return Before{}, err
	}
	for _, dir := range directories {
		if _, err := os.Stat(dir); err == nil {
			b.Directories = append(b.Directories, dir)
		}
	}
	return b, nil
}

// Forward lets the machine forward packets between its networks.
func Forward() error { return os.WriteFile(setting(forwarding), []byte("1\n"), 0) }

// RestoreSettings gives the kernel's settings the values that they had.
func (b Before) RestoreSettings() error {
	var failures []error
	for name, value := range b.Settings {
		current, err := os.ReadFile(setting(name))
		if err == nil && strings.TrimSpace(string(current)) == value {
			continue
		}
		failures = append(failures, gone(os.WriteFile(setting(name), []byte(value+"\n"), 0)))
	}
	return errors.Join(failures...)
}

// RemoveDirectories removes the directories that were not there and are empty now, and in them what the cluster leaves: the state of
// kubelets' device plugins, links to log files below state, the cached answers of the network of that name.
func (b Before) RemoveDirectories(state, network string) error {
	var failures []error
	for _, file := range []string{
		"/var/lib/kubelet/device-plugins/kubelet.sock", "/var/lib/kubelet/device-plugins/kubelet_internal_checkpoint",
	} {
		if !slices.Contains(b.Directories, filepath.Dir(file)) {
			failures = append(failures, gone(os.Remove(file)))
		}
	}
	failures = append(failures, removeLinks("/var/log/containers", state))
	answers, err := filepath.Glob(filepath.Join("/var/lib/cni/results", network+"-*"))
	failures = append(failures, err)
	for _, file := range answers {
		failures = append(failures, gone(os.Remove(file)))
	}
	failures = append(failures, b.unmountNames())
	for _, dir := range directories {
		if !slices.Contains(b.Directories, dir) {
			// One that somebody else uses by now is not empty, and stays.
			_ = os.Remove(dir)
		}
	}
	return errors.Join(failures...)
}

// unmountNames undoes the mounts that the first named network namespaces made, unless there are others by now. Two that are made at
// once may each mount.
func (b Before) unmountNames() error {
	if b.NamesMounted {
		return nil
	}
	if entries, err := os.ReadDir(names); err != nil || len(entries) > 0 {
		return gone(err)
	}
	for {
		if still, err := mounted(names); err != nil || !still {
			return err
		}
		if err := unix.Unmount(names, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmounting %s: %w", names, err)
		}
	}
}

// removeLinks removes the symbolic links in dir that point below target.
func removeLinks(dir, target string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return gone(err)
	}
	var failures []error
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if to, err := os.Readlink(path); err == nil && strings.HasPrefix(to, target+"/") {
			failures = append(failures, gone(os.Remove(path)))
		}
	}
	return errors.Join(failures...)
}

// gone takes away the error of something not being there. A control group that is
// removed while one of its files is read answers ENODEV.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}
