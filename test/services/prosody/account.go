package prosody

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
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

// Invite makes an invitation to register at s.Domain, good for one account, and returns
// its token. The server needs Options.Invitations.
func (s *Server) Invite(ctx context.Context) (token string, err error) {
	out, err := s.ask(ctx, "mod_invites", "generate", s.Domain)
	if err != nil {
		return "", err
	}
	// xmpp:<domain>?register;preauth=<token> (XEP-0401)
	_, token, found := strings.Cut(strings.TrimSpace(string(out)), ";preauth=")
	if !found {
		return "", errors.New("prosodyctl mod_invites prints no token")
	}
	return token, nil
}

func (s *Server) ctl(ctx context.Context, args ...string) error {
	_, err := s.ask(ctx, args...)
	return err
}

// ask runs prosodyctl and returns what it prints.
func (s *Server) ask(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "prosodyctl", append([]string{"--config", s.config}, args...)...)
	cmd.Dir = s.Dir
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("prosodyctl %s: %w: %s%s", args[0], err, &out, &complaints)
	}
	return out.Bytes(), nil
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
