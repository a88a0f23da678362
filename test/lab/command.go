package lab

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// maxOutput is how much of a program's output is kept.
const maxOutput = 4 << 20

// command is a program to run to its end.
type command struct {
	path  string
	args  []string
	dir   string // empty: the repository's root
	stdin string
	env   []string // in addition to the lab's own
	// quiet keeps the program's lines out of the progress that is shown.
	quiet bool
}

// String is the command as one would type it.
func (c command) String() string {
	return strings.Join(append([]string{filepath.Base(c.path)}, c.args...), " ")
}

// run runs a command and returns what it printed to its standard output. The error
// ends with the last lines that it printed.
func (l *Lab) run(ctx context.Context, c command) (string, error) {
	cmd := exec.CommandContext(ctx, c.path, c.args...)
	cmd.Dir = c.dir
	if cmd.Dir == "" {
		cmd.Dir = l.root
	}
	cmd.Env = append(l.Env(), c.env...)
	cmd.Stdin = strings.NewReader(c.stdin)
	var out, all capture
	var progress io.Writer = lineWriter(l.report.Detail)
	if c.quiet {
		progress = io.Discard
	}
	cmd.Stdout = io.MultiWriter(&out, &all, progress)
	cmd.Stderr = io.MultiWriter(&all, progress)
	// An interrupted program is asked to end before it is made to.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s: %w\n%s", c, err, tail(all.String(), 15))
	}
	return out.String(), nil
}

// Env is the environment in which the lab's programs run: kubectl finds the
// cluster, and the plugin.
func (l *Lab) Env() []string {
	path := l.bin("") + ":" + os.Getenv("PATH")
	env := []string{"KUBECONFIG=" + l.kubeconfig, "PATH=" + path}
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "KUBECONFIG=") && !strings.HasPrefix(kv, "PATH=") {
			env = append(env, kv)
		}
	}
	return env
}

// Kubectl runs kubectl against the cluster and returns what it printed.
func (l *Lab) Kubectl(ctx context.Context, args ...string) (string, error) {
	return l.run(ctx, command{path: l.kubectl, args: args, quiet: true})
}

// Apply applies a manifest as a user would.
func (l *Lab) Apply(ctx context.Context, manifest string) (string, error) {
	return l.run(ctx, command{
		path: l.kubectl, args: []string{"apply", "--server-side", "--force-conflicts", "-f", "-"}, stdin: manifest, quiet: true,
	})
}

// bin returns the path of a program that the lab built.
func (l *Lab) bin(name string) string { return filepath.Join(l.root, "bin", name) }

// capture keeps the beginning of what is written to it.
type capture struct {
	mu  sync.Mutex // guards the following field
	buf bytes.Buffer
}

func (c *capture) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.buf.Write(p[:min(len(p), max(0, maxOutput-c.buf.Len()))])
	return len(p), nil
}

func (c *capture) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.buf.String()
}

// lineWriter hands the last line of each write on.
type lineWriter func(line string)

func (w lineWriter) Write(p []byte) (int, error) {
	if line := tail(string(p), 1); line != "" {
		w(line)
	}
	return len(p), nil
}

// tail returns the last lines of a text.
func tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
