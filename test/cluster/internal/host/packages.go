package host

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Requirement is a program that the cluster needs of the machine.
type Requirement struct {
	// Program is its name, or its path when it starts with a slash.
	Program string
	// Package is the Debian package that has it.
	Package string
	// Static tells that it must need no shared libraries.
	Static bool
}

// requirements are the programs that the cluster runs and does not build.
var requirements = []Requirement{
	{Program: "containerd", Package: "containerd"},
	{Program: "ctr", Package: "containerd"},
	{Program: "containerd-shim-runc-v2", Package: "containerd"},
	{Program: "runc", Package: "runc"},
	{Program: "ip", Package: "iproute2"},
	{Program: "iptables", Package: "iptables"},
	{Program: "iptables-save", Package: "iptables"},
	{Program: "ip6tables", Package: "iptables"},
	{Program: "ipset", Package: "ipset"},
	{Program: "nft", Package: "nftables"},
	{Program: "conntrack", Package: "conntrack"},
	{Program: "mount", Package: "mount"},
	{Program: "/usr/lib/cni/" + plugin, Package: "containernetworking-plugins"},
	{Program: "/bin/busybox", Package: "busybox-static", Static: true},
}

// plugin is the network plugin that tells where all of them are.
const plugin = "ptp"

// systemPath is where administrators' programs are, which is not always in PATH.
const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// SetPath makes the machine's programs found by this process.
func SetPath() error { return os.Setenv("PATH", os.Getenv("PATH")+":"+systemPath) }

// Path is the search path of the cluster's processes, whatever the caller's is.
func Path() string { return systemPath }

// Program returns where a program of the machine is.
func Program(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", err
	}
	return filepath.Abs(path)
}

// pluginDirectories are where distributions keep network plugins.
var pluginDirectories = []string{"/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"}

// CNIPlugins returns the directory of the network plugins.
func CNIPlugins() (string, error) {
	for _, dir := range pluginDirectories {
		if _, err := os.Stat(filepath.Join(dir, plugin)); err == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("no network plugins in %s", strings.Join(pluginDirectories, ", "))
}

// MissingError says which packages are not installed.
type MissingError struct {
	// Packages are the Debian packages that have it.
	Packages []string
	// Why says why they were not installed.
	Why string
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("missing on this machine: %s (%s); install what has them, on Debian or Ubuntu: apt-get install %s",
		strings.Join(e.Packages, ", "), e.Why, strings.Join(e.Packages, " "))
}

// Missing returns which Debian packages are not installed, of those that the cluster needs and of further ones.
func Missing(ctx context.Context, further []string) []string {
	var packages []string
	for _, r := range requirements {
		if !r.present() {
			packages = append(packages, r.Package)
		}
	}
	for _, name := range further {
		out, err := command(ctx, "", "dpkg-query", "-W", "-f=${db:Status-Status}", name)
		if err != nil || out != "installed" {
			packages = append(packages, name)
		}
	}
	slices.Sort(packages)
	return slices.Compact(packages)
}

func (r Requirement) present() bool {
	if filepath.Base(r.Program) == plugin {
		_, err := CNIPlugins()
		return err == nil
	}
	path, err := exec.LookPath(r.Program)
	if err != nil {
		return false
	}
	// A package of the same program that needs shared libraries is of no use in an image of its own.
	return !r.Static || static(path)
}

// static tells whether a program needs nothing but the kernel.
func static(path string) bool {
	f, err := elf.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return !slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
}

// Install installs what Missing returns when it can: as root on Debian or Ubuntu. Otherwise it fails with a *MissingError.
func Install(ctx context.Context, out io.Writer, further []string) error {
	missing := Missing(ctx, further)
	if len(missing) == 0 {
		return nil
	}
	if os.Geteuid() != 0 {
		return &MissingError{missing, "only root can install them"}
	}
	if !debian() {
		return &MissingError{missing, "this is not Debian or Ubuntu"}
	}
	fmt.Fprintf(out, "installing %s\n", strings.Join(missing, ", "))
	install := append([]string{"install", "-y", "--no-install-recommends"}, missing...)
	if err := aptGet(ctx, out, install...); err == nil {
		return nil
	}
	// Most often the lists of packages are missing or old.
	if err := aptGet(ctx, out, "update"); err != nil {
		return err
	}
	if err := aptGet(ctx, out, install...); err != nil {
		return err
	}
	if still := Missing(ctx, further); len(still) > 0 {
		return &MissingError{still, "installing them did not help"}
	}
	return nil
}

func aptGet(ctx context.Context, out io.Writer, args ...string) error {
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"-q"}, args...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("apt-get %s: %w", args[0], err)
	}
	return nil
}

// debian tells whether the machine's packages are Debian's or Ubuntu's.
func debian() bool {
	content, err := os.ReadFile("/etc/os-release")
	if errors.Is(err, fs.ErrNotExist) || err != nil {
		return false
	}
	for line := range strings.Lines(string(content)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		ids := strings.Fields(strings.Trim(value, `"`))
		if (key == "ID" || key == "ID_LIKE") && (slices.Contains(ids, "debian") || slices.Contains(ids, "ubuntu")) {
			return true
		}
	}
	return false
}
