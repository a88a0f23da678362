package process

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Table is the directory that the records of a cluster's processes are kept in.
type Table struct {
	// Dir holds <name>.json (the record) and <name>.command.json for every component.
	Dir string
}

// Command is what a component runs. All of it, and the content of the files it names, makes the fingerprint: a component that
// runs something else than it should is restarted.
type Command struct {
	// Name is the component's: the name of its record.
	Name string `json:"name"`
	// Path is the program.
	Path string `json:"path"`
	// Args are the program's arguments without its name.
	Args []string `json:"args"`
	// Env is the whole environment, as NAME=value: nothing of the caller's gets into it.
	Env []string `json:"env,omitempty"`
	// Log is the file that standard output and error are appended to.
	Log string `json:"log"`
	// Namespace is the network namespace's file, empty for the host's.
	Namespace string `json:"namespace,omitempty"`
	// Cgroup is a cgroup.procs file to be listed in, empty for the caller's group.
	Cgroup string `json:"cgroup,omitempty"`
	// Inputs are configuration files that the program reads when it starts.
	Inputs []string `json:"inputs,omitempty"`
}

// Fingerprint names what c runs. It fails when an input cannot be read.
func (c Command) Fingerprint() (string, error) {
	h := sha256.New()
	if err := json.NewEncoder(h).Encode(c); err != nil {
		return "", err
	}
	for _, path := range c.Inputs {
		content, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("reading an input of %s: %w", c.Name, err)
		}
		fmt.Fprintf(h, "%x", sha256.Sum256(content))
	}
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}

// Stage is the command line argument that makes this program the first stage of a component: see Exec.
const Stage = "__component"

// Ensure makes c run: nothing is done when it runs already with the same fingerprint; a process with another one is ended first.
// It returns whether it started one.
func (t Table) Ensure(ctx context.Context, c Command) (started bool, err error) {
	fingerprint, err := c.Fingerprint()
	if err != nil {
		return false, err
	}
	if r, err := readRecord(t.record(c.Name)); err == nil && r.Alive() {
		if r.Fingerprint == fingerprint {
			return false, nil
		}
		if err := t.Stop(ctx, c.Name, DefaultGrace); err != nil {
			return false, err
		}
	}
	if err := os.MkdirAll(t.Dir, 0o700); err != nil {
		return false, err
	}
	if err := writeJSON(t.command(c.Name), c); err != nil {
		return false, fmt.Errorf("writing the command of %s: %w", c.Name, err)
	}
	if err := t.start(ctx, c.Name, fingerprint); err != nil {
		return false, fmt.Errorf("starting %s: %w", c.Name, err)
	}
	return true, nil
}

// start runs this program as the component's first stage, in a session of its own so that the terminal's signals do not reach it,
// and returns when the stage has become the component.
func (t Table) start(ctx context.Context, name, fingerprint string) error {
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	// The component outlives its starter, however that ends.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), "/proc/self/exe", Stage, t.Dir, name, fingerprint)
	cmd.ExtraFiles = []*os.File{write}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	write.Close()
	if err != nil {
		return err
	}
	// Should it end while this process is there, it must not stay a zombie.
	go func() { _ = cmd.Wait() }()
	message, err := io.ReadAll(io.LimitReader(read, 4096))
	if err != nil {
		return err
	}
	if len(message) > 0 {
		return errors.New(string(message))
	}
	return nil
}

// Alive returns the component's record and whether that process runs.
func (t Table) Alive(name string) (Record, bool) {
	r, err := readRecord(t.record(name))
	return r, err == nil && r.Alive()
}

// Names are the components that have a record, in order.
func (t Table) Names() ([]string, error) {
	entries, err := os.ReadDir(t.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".json")
		if ok && !strings.HasSuffix(name, ".command") && !strings.HasPrefix(name, ".") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// DefaultGrace is how long a process has to end by itself before it is killed.
const DefaultGrace = 10 * time.Second

// Stop ends the recorded process, first asking and after grace forcing it, and forgets it. Without a record, or when that process
// runs no more, there is nothing to end.
func (t Table) Stop(ctx context.Context, name string, grace time.Duration) error {
	r, err := readRecord(t.record(name))
	if errors.Is(err, fs.ErrNotExist) {
		return t.forget(name)
	}
	if err != nil {
		return err
	}
	if err := end(ctx, r, grace); err != nil {
		return fmt.Errorf("ending %s (process %d): %w", name, r.PID, err)
	}
	return t.forget(name)
}

// end signals exactly the recorded process. The handle is taken before the check, so the number cannot pass to another process
// between check and signal.
func end(ctx context.Context, r Record, grace time.Duration) error {
	if r.PID <= 1 {
		return nil
	}
	p, err := os.FindProcess(r.PID)
	if err != nil {
		return nil
	}
	defer func() { _ = p.Release() }()
	if !r.Alive() {
		return nil
	}
	for _, attempt := range []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{syscall.SIGTERM, grace}, {syscall.SIGKILL, DefaultGrace}} {
		if err := p.Signal(attempt.signal); errors.Is(err, os.ErrProcessDone) {
			return nil
		} else if err != nil {
			return err
		}
		if gone, err := awaitEnd(ctx, r, attempt.wait); gone || err != nil {
			return err
		}
	}
	return errors.New("it does not end even when killed")
}

func awaitEnd(ctx context.Context, r Record, wait time.Duration) (gone bool, err error) {
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	for r.Alive() {
		select {
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case <-deadline.C:
			return false, nil
		case <-time.After(20 * time.Millisecond):
		}
	}
	return true, nil
}

func (t Table) forget(name string) error {
	for _, path := range []string{t.record(name), t.command(name), t.lockFile(name)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (t Table) record(name string) string   { return filepath.Join(t.Dir, name+".json") }
func (t Table) command(name string) string  { return filepath.Join(t.Dir, name+".command.json") }
func (t Table) lockFile(name string) string { return filepath.Join(t.Dir, name+".lock") }
