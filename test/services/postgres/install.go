package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// quiet keeps Debian's package from making a database cluster of the machine's and starting it.
const quiet = "/etc/postgresql-common/createcluster.d/relaykeep-tests.conf"

// Install installs Debian's PostgreSQL when it is missing and we are root; otherwise the error
// says what to install. The package neither makes nor starts a server of its own.
func Install(ctx context.Context) (err error) {
	if _, err := Programs(); err == nil || os.Geteuid() != 0 {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(quiet), 0o755); err != nil {
		return fmt.Errorf("preparing PostgreSQL's installation: %w", err)
	}
	if err := os.WriteFile(quiet, []byte("create_main_cluster = false\n"), 0o644); err != nil {
		return fmt.Errorf("preparing PostgreSQL's installation: %w", err)
	}
	defer func() { err = errors.Join(err, os.Remove(quiet)) }()
	install := []string{"install", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300", "postgresql"}
	if err := run(ctx, "apt-get", install...); err != nil { // by new lists of packages, perhaps
		if err := run(ctx, "apt-get", "update"); err != nil {
			return err
		}
		if err := run(ctx, "apt-get", install...); err != nil {
			return err
		}
	}
	_, err = Programs()
	return err
}

func run(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("installing PostgreSQL: %s: %w: %s", name, err, out[max(0, len(out)-2000):])
	}
	return nil
}
