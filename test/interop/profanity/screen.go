package profanity

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// The terminal's size: wide enough that no message wraps, high enough that a
// test's conversation stays in view.
const (
	columns = "400"
	rows    = "180"
)

// screen is a program in a terminal that tmux emulates.
type screen struct {
	socket string
	env    []string
}

// startScreen runs a program in a tmux server of its own, whose socket and
// settings no other tmux shares. Home becomes the program's HOME and XDG base.
func startScreen(ctx context.Context, home string, argv ...string) (*screen, error) {
	for _, bin := range []string{"tmux", argv[0]} {
		if _, err := exec.LookPath(bin); err != nil {
			return nil, ErrMissing
		}
	}
	// A socket's path is short by law (108 bytes), a test's directory is not.
	dir, err := os.MkdirTemp("", "tmux-*")
	if err != nil {
		return nil, fmt.Errorf("making a directory for the terminal: %w", err)
	}
	s := &screen{socket: filepath.Join(dir, "s"), env: []string{
		"HOME=" + home, "XDG_CONFIG_HOME=" + filepath.Join(home, "config"), "XDG_DATA_HOME=" + filepath.Join(home, "data"),
		"PATH=" + os.Getenv("PATH"), "TERM=xterm-256color", "LANG=C.UTF-8", "SHELL=/bin/sh",
	}}
	args := append([]string{"new-session", "-d", "-x", columns, "-y", rows, "--"}, argv...)
	if _, err := s.tmux(ctx, args...); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

// tmux runs one command of tmux against our server.
func (s *screen) tmux(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "tmux", append([]string{"-S", s.socket, "-f", "/dev/null"}, args...)...)
	cmd.Env = s.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("tmux %s: %w: %s", args[0], err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}

// typeLine types a line and presses Enter.
func (s *screen) typeLine(ctx context.Context, line string) error {
	if _, err := s.tmux(ctx, "send-keys", "-l", "--", line); err != nil {
		return err
	}
	_, err := s.tmux(ctx, "send-keys", "Enter")
	return err
}

// text returns what is on the screen.
func (s *screen) text(ctx context.Context) (string, error) {
	return s.tmux(ctx, "capture-pane", "-p", "-J")
}

// styled is text with what sets its colours.
func (s *screen) styled(ctx context.Context) (string, error) {
	return s.tmux(ctx, "capture-pane", "-p", "-J", "-e")
}

// alive reports whether the program still runs: tmux ends with it.
func (s *screen) alive(ctx context.Context) bool {
	_, err := s.tmux(ctx, "has-session")
	return err == nil
}

// stop ends the server and with it the program, if that has not ended by itself.
func (s *screen) stop(ctx context.Context) error {
	var err error
	if s.alive(ctx) {
		_, err = s.tmux(ctx, "kill-server")
	}
	return errors.Join(err, os.RemoveAll(filepath.Dir(s.socket)))
}
