package rig

import (
	"bufio"
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

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/test/rig/internal/process"
	"github.com/relaykeep/relaykeep/test/services/freeze"
)

// processVariable makes a test binary a relay's process: its value is the directory
// with the configuration.
const processVariable = "RELAYKEEP_TEST_RELAY"

// IsProcess says whether this process is a relay's, which Main then runs.
func IsProcess() bool { return os.Getenv(processVariable) != "" }

// StartProcess runs the relay as a process of its own, which Stop kills. The package's
// TestMain must call Main.
func (b *Business) StartProcess() {
	b.t.Helper()
	b.prepareProcess()
	ready := b.startProcess()
	b.stop = b.Process().Kill
	b.t.Cleanup(b.stop)
	if !ready {
		b.t.Fatal("the relay's process ended")
	}
}

// KeepRunning runs the relay as a process of its own and starts it again whenever it ends, as the kubelet does, until Stop.
// Calls that find no process fail meanwhile.
func (b *Business) KeepRunning() {
	b.t.Helper()
	b.prepareProcess()
	b.mu.Lock()
	b.kept = true
	b.mu.Unlock()
	stopping, stopped := make(chan struct{}), make(chan struct{})
	b.startProcess()
	go func() {
		defer close(stopped)
		for {
			<-b.Process().ended
			select {
			case <-stopping:
				return
			default:
				b.startProcess()
			}
		}
	}()
	b.stop = sync.OnceFunc(func() {
		close(stopping)
		for ended := false; !ended; { // one may just be starting
			b.Process().Kill()
			select {
			case <-stopped:
				ended = true
			default:
			}
		}
	})
	b.t.Cleanup(b.stop)
}

// Kills are the places of the relay's code at whose commits its process kills itself.
type Kills = process.Kills

// The moments of a commit at which it does.
const (
	Before = process.Before
	After  = process.After
)

// Kill has the relay's process kill itself from its next start on. The process must be kept: see KeepRunning.
func (b *Business) Kill(k Kills) {
	b.t.Helper()
	check(b.t, k.Write(b.Dir))
}

// Killed returns where the relay's process killed itself, each a place and a moment.
func (b *Business) Killed() []string { return process.Killed(b.Dir) }

// Configure writes what the relay's next start reads, for a process that is kept running.
func (b *Business) Configure() {
	b.t.Helper()
	b.configure()
}

// prepareProcess writes what a process reads when it starts.
func (b *Business) prepareProcess() {
	b.t.Helper()
	b.configure()
	token, err := b.IssueToken(b.t.Context(), contract.AudienceRelay(b.Config.Region))
	check(b.t, err)
	check(b.t, os.WriteFile(filepath.Join(b.Dir, "token"), []byte(token), 0o600))
}

// startProcess starts the process. It says whether it came to listen at both of its ports.
func (b *Business) startProcess() (ready bool) {
	b.t.Helper()
	cmd := exec.CommandContext(context.Background(), os.Args[0])
	if b.Program != "" {
		cmd = exec.CommandContext(context.Background(), b.Program, b.Dir)
	}
	cmd.Env = append(os.Environ(), processVariable+"="+b.Dir, "GOGC=") // its memory is as in its pod, whatever the tests run with
	cmd.Stderr = &b.Log
	// A test's interrupt goes to the test alone, which then ends the relay.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	check(b.t, err)
	in, err := cmd.StdinPipe()
	check(b.t, err)
	check(b.t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	b.mu.Lock()
	b.process = &Process{cmd, in, ended}
	err = b.tellClock()
	b.mu.Unlock()
	check(b.t, err)
	lines := bufio.NewScanner(out)
	for range 2 {
		if !lines.Scan() {
			return false
		}
		name, addr, _ := strings.Cut(lines.Text(), " ")
		b.listens(name, addr)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return true
}

// Process is a relay's process.
type Process struct {
	cmd   *exec.Cmd
	node  io.Writer // tells it how wrong its node's clock is
	ended chan struct{}
}

// Process is the relay's, as StartProcess last started it. The business may start another beside it.
func (b *Business) Process() *Process {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.process
}

// Kill ends a process without a word.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// Freeze stops the relay's process without closing its connections, and leaves it to the caller: the
// business may start another.
func (b *Business) Freeze() *Process {
	b.t.Helper()
	p := b.Process()
	p.Stall()
	return p
}

// Stall stops a process without closing its connections.
func (p *Process) Stall() { freeze.Process(p.cmd.Process.Pid) }

// Terminate tells a process to end, as the kubelet does.
func (p *Process) Terminate() { _ = p.cmd.Process.Signal(syscall.SIGTERM) }

// Thaw lets a process go on. The channel is closed when it has ended.
func (p *Process) Thaw() <-chan struct{} {
	_ = p.cmd.Process.Signal(syscall.SIGCONT)
	return p.ended
}

// PID is the relay's process, as StartProcess last started it.
func (b *Business) PID() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.process.cmd.Process.Pid
}

// SetClock makes the clock of the relay's node wrong by some time from now on, also after the relay's
// process was started again. It counts for processes. It returns an error if the process has ended.
func (b *Business) SetClock(wrong time.Duration) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wrong = wrong
	return b.tellClock()
}

// SetLater makes it later by every clock, from now on. It counts for processes. Without a process it counts from the
// next start.
func (b *Business) SetLater(by time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.later = by
	if b.process != nil {
		_ = b.tellClock() // one that has ended learns it when it starts again
	}
}

// tellClock tells the process how wrong its clock is. The caller holds mu.
func (b *Business) tellClock() error {
	_, err := fmt.Fprintln(b.process.node, b.wrong, b.later)
	return err
}
