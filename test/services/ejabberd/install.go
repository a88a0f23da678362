package ejabberd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// unit is the service that Debian's package would start, which is not wanted.
const unit = "ejabberd.service"

// libraries returns where Debian keeps ejabberd's modules: in a folder named after
// the machine's architecture.
func libraries() (string, error) {
	found, err := filepath.Glob("/usr/lib/*/ejabberd-*/ebin/ejabberd.app")
	if err != nil || len(found) == 0 {
		return "", errors.New("ejabberd is not installed: run `apt-get install ejabberd` as root")
	}
	return filepath.Dir(filepath.Dir(filepath.Dir(found[0]))), nil
}

// Install installs Debian's ejabberd when it is missing and we are root; otherwise
// the error says what to install. The package's service is neither started nor
// enabled.
func Install(ctx context.Context) error {
	missing := func() error { _, err := libraries(); return err }
	err := missing()
	if err == nil || os.Geteuid() != 0 {
		return err
	}
	_, err = os.Stat("/run/systemd/system")
	services := err == nil
	if services {
		if err := run(ctx, "systemctl", "mask", "--runtime", unit); err != nil {
			return err
		}
	}
	// Several packages' tests may want it at once: one installs, the others wait.
	err = fetch(ctx)
	if services {
		err = errors.Join(err, run(ctx, "systemctl", "unmask", "--runtime", unit), run(ctx, "systemctl", "disable", unit))
	}
	return errors.Join(err, missing())
}

// fetch installs the package, by new lists of packages when those at hand do not lead to it.
func fetch(ctx context.Context) error {
	install := []string{"install", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300", "ejabberd"}
	if run(ctx, "apt-get", install...) == nil {
		return nil
	}
	if err := run(ctx, "apt-get", "update"); err != nil {
		return err
	}
	return run(ctx, "apt-get", install...)
}

func run(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("installing ejabberd: %s: %w: %s", name, err, out[max(0, len(out)-2000):])
	}
	return nil
}
