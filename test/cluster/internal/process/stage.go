package process

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// statusFile is the inherited pipe on which a stage says why it failed. It closes without a word when the stage becomes the
// component.
const statusFile = 3

// Exec is the first stage of a component: it writes the record of this process, then becomes the component, which keeps number
// and start time. So there is no moment, however the caller ends, at which a component runs that has no record. It returns only
// when it fails; args are those that follow Stage.
func Exec(args []string) error {
	status := os.NewFile(statusFile, "status")
	syscall.CloseOnExec(statusFile)
	err := become(args)
	fmt.Fprint(status, err.Error())
	return err
}

func become(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("a stage takes 3 arguments, not %d", len(args))
	}
	// Namespaces and groups belong to a thread until the program is replaced.
	runtime.LockOSThread()
	t, name, fingerprint := Table{Dir: args[0]}, args[1], args[2]
	content, err := os.ReadFile(t.command(name))
	if err != nil {
		return err
	}
	var c Command
	if err := json.Unmarshal(content, &c); err != nil {
		return fmt.Errorf("reading the command: %w", err)
	}
	lock, err := os.OpenFile(t.lockFile(name), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	// The lock, gone when the program is replaced, is what keeps two stages of one component from both becoming it.
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("locking the record: %w", err)
	}
	if r, err := readRecord(t.record(name)); err == nil && r.Alive() {
		return fmt.Errorf("it runs already as process %d", r.PID)
	}
	r, err := self(name, fingerprint)
	if err != nil {
		return err
	}
	if err := writeJSON(t.record(name), r); err != nil {
		return fmt.Errorf("writing the record: %w", err)
	}
	return c.exec()
}

// exec moves this thread to where the component belongs and replaces the program.
func (c Command) exec() error {
	if c.Cgroup != "" {
		if err := os.WriteFile(c.Cgroup, []byte("0"), 0); err != nil {
			return fmt.Errorf("joining the cgroup: %w", err)
		}
	}
	if c.Namespace != "" {
		if err := enter(c.Namespace); err != nil {
			return fmt.Errorf("entering the network namespace: %w", err)
		}
	}
	if err := redirect(c.Log); err != nil {
		return err
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	if err := syscall.Exec(c.Path, append([]string{filepath.Base(c.Path)}, c.Args...), c.Env); err != nil {
		return fmt.Errorf("running %s: %w", c.Path, err)
	}
	return nil
}

func enter(namespace string) error {
	f, err := os.Open(namespace)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Setns(int(f.Fd()), unix.CLONE_NEWNET)
}

// redirect makes log standard output and error, and leaves nothing to read.
func redirect(log string) error {
	if err := os.MkdirAll(filepath.Dir(log), 0o755); err != nil {
		return err
	}
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	in, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	for target, f := range []*os.File{in, out, out} {
		if err := syscall.Dup3(int(f.Fd()), target, 0); err != nil {
			return fmt.Errorf("redirecting: %w", err)
		}
	}
	return nil
}
