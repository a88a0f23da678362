// Package promtool finds Prometheus's promtool, which checks alerts. It takes it out of Debian's package without installing
// that, which would start a server. It must not know any alert.
package promtool

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/relaykeep/relaykeep/test/cache"
)

// limit is how long the download may take.
const limit = 5 * time.Minute

// Path returns where promtool is: the machine's own, or what Install fetched.
func Path() (string, error) {
	if path, err := exec.LookPath("promtool"); err == nil {
		return path, nil
	}
	dir, err := cache.Dir("promtool")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "usr", "bin", "promtool")
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("finding promtool: %w (make test-env fetches it)", err)
	}
	return path, nil
}

// Install fetches promtool unless it is there. It needs no root, but Debian's lists of packages.
func Install(ctx context.Context) error {
	if _, err := Path(); err == nil {
		return nil
	}
	dir, err := cache.Dir("promtool")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	work, err := os.MkdirTemp(dir, "download-")
	if err != nil {
		return fmt.Errorf("fetching promtool: %w", err)
	}
	defer func() { _ = os.RemoveAll(work) }()
	if err := run(ctx, work, "apt-get", "download", "prometheus"); err != nil { // by new lists of packages, perhaps
		if err := run(ctx, work, "apt-get", "update"); err != nil {
			return err
		}
		if err := run(ctx, work, "apt-get", "download", "prometheus"); err != nil {
			return err
		}
	}
	packages, err := filepath.Glob(filepath.Join(work, "prometheus_*.deb"))
	if err != nil || len(packages) != 1 {
		return fmt.Errorf("fetching promtool: %d packages were downloaded, want one", len(packages))
	}
	unpacked := filepath.Join(work, "unpacked")
	if err := run(ctx, work, "dpkg-deb", "-x", packages[0], unpacked); err != nil {
		return err
	}
	to := filepath.Join(dir, "usr", "bin")
	if err := os.MkdirAll(to, 0o750); err != nil {
		return fmt.Errorf("fetching promtool: %w", err)
	}
	if err := os.Rename(filepath.Join(unpacked, "usr", "bin", "promtool"), filepath.Join(to, "promtool")); err != nil {
		return fmt.Errorf("fetching promtool: %w", err)
	}
	return nil
}

func run(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("fetching promtool: %s: %w: %s", name, err, out[max(0, len(out)-2000):])
	}
	return nil
}
