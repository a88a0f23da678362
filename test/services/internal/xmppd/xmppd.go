// Package xmppd is what the XMPP servers of the tests have in common: a process
// that is started, waited for, frozen, killed and stopped, and a port of its own.
// It must not know which program that is, nor how it is configured.
package xmppd

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/relaykeep/relaykeep/test/services/freeze"
)

// Process is a server's process, running or not. It is not safe for concurrent use.
type Process struct {
	Name    string // of the program, for errors
	Domain  string // one that the server answers for
	Addr    string // host:port, where clients connect
	CAPEM   []byte // of the authority that signed the server's certificate
	Dir     string // the console's output goes to console.log in it
	LogFile string
	// Make returns the command to run, which stays in the foreground and ends on
	// SIGTERM.
	Make func() *exec.Cmd

	cmd    *exec.Cmd
	exited chan struct{} // closed when the process was reaped
}

// Where says what a client of the server needs to know.
func (p *Process) Where() (domain, addr string, ca []byte) { return p.Domain, p.Addr, p.CAPEM }

// Start runs a server that does not run and waits until it answers.
func (p *Process) Start(ctx context.Context) error {
	if p.cmd != nil {
		return fmt.Errorf("%s runs already", p.Name)
	}
	console, err := os.OpenFile(p.console(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("opening the console log: %w", err)
	}
	defer console.Close()
	cmd := p.Make()
	cmd.Stdout, cmd.Stderr = console, console
	// A test's interrupt goes to the test alone, which then stops the server.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", p.Name, err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	p.cmd, p.exited = cmd, exited
	if err := p.Wait(ctx); err != nil {
		p.Kill()
		return err
	}
	return nil
}

// Wait returns once the server answers a client's stream header, or with an error
// that quotes the end of its log when ctx ends or the process did.
func (p *Process) Wait(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := p.probe(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.exited:
			return fmt.Errorf("%s ended: %s", p.Name, p.LastWords())
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s (%w): %s", p.Name, err, p.LastWords())
		}
	}
}

// probe opens a stream and wants its features back.
func (p *Process) probe(ctx context.Context) error {
	d := net.Dialer{Timeout: time.Second}
	conn, err := d.DialContext(ctx, "tcp", p.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
	_, err = fmt.Fprintf(conn, "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "+
		"xmlns:stream='http://etherx.jabber.org/streams' to='%s' version='1.0'>", p.Domain)
	if err != nil {
		return err
	}
	var seen strings.Builder
	buf := make([]byte, 4096)
	for !strings.Contains(seen.String(), "</stream:features>") {
		n, err := conn.Read(buf)
		if err != nil {
			return err
		}
		seen.Write(buf[:n])
	}
	return nil
}

func (p *Process) console() string { return filepath.Join(p.Dir, "console.log") }

// LastWords is the end of what the server wrote.
func (p *Process) LastWords() string {
	var words []string
	for _, f := range []string{p.LogFile, p.console()} {
		b, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		words = append(words, string(b[max(0, len(b)-2000):]))
	}
	return strings.Join(words, "\n")
}

// PID is the process's id, 0 when the server does not run.
func (p *Process) PID() int {
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// Stop ends the server in an orderly way and waits for its end; after 10 seconds
// it is killed. Stopping a stopped server does nothing.
func (p *Process) Stop() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
		p.cmd, p.exited = nil, nil
	case <-time.After(10 * time.Second):
		p.Kill()
	}
}

// Kill ends the server at once, as a crash does.
func (p *Process) Kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	<-p.exited
	p.cmd, p.exited = nil, nil
}

// Freeze stops the server without closing its connections; Thaw lets it go on.
func (p *Process) Freeze() { freeze.Process(p.cmd.Process.Pid) }

// Thaw ends Freeze.
func (p *Process) Thaw() { _ = p.cmd.Process.Signal(syscall.SIGCONT) }

// Restart stops the server and starts it again on the same address and data.
func (p *Process) Restart(ctx context.Context) error {
	p.Stop()
	return p.Start(ctx)
}
