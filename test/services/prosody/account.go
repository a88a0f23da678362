package prosody

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// AddAccount makes the account user@s.Domain, or sets its password when there is
// one, in the server's data; the server need not run.
func (s *Server) AddAccount(ctx context.Context, user, password string) error {
	return s.ctl(ctx, "register", user, s.Domain, password)
}

// RemoveAccount removes the account and all of its data.
func (s *Server) RemoveAccount(ctx context.Context, user string) error {
	return s.ctl(ctx, "unregister", user, s.Domain)
}

func (s *Server) ctl(ctx context.Context, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "prosodyctl", append([]string{"--config", s.config}, args...)...)
	cmd.Dir = s.Dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("prosodyctl %s: %w: %s", args[0], err, out)
	}
	return nil
}

// Install installs Debian's prosody when it is missing and we are root; otherwise
// the error says what to install.
func Install(ctx context.Context) error {
	if _, err := exec.LookPath("prosody"); err == nil {
		return nil
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("prosody is not installed: run `apt-get install prosody` as root")
	}
	cmd := exec.CommandContext(ctx, "apt-get", "install", "-y", "--no-install-recommends", "prosody")
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("installing prosody: %w: %s", err, out[max(0, len(out)-2000):])
	}
	return nil
}
