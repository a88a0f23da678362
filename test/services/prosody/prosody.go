// Package prosody runs a real Prosody (Debian's, 0.12) for tests and for the demo,
// configured as we recommend one for Relaykeep: clients only, TLS always, no
// federation. It must not know what travels through the server.
//
// There are three layers: Prepare writes a server's directory and may be called
// again over an existing one; Server.Command and Server.Wait let the caller run
// the process as it likes; Start and StartT do all of it.
package prosody

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Options say what a server is like. The zero value is a server of the domain
// relay.test on a free port of 127.0.0.1 with a certificate authority of its own,
// on which nobody can register.
type Options struct {
	// Domains are the server's virtual hosts. The first is Server.Domain.
	Domains []string
	// Address is where to listen, host:port; port 0 takes a free one.
	Address string
	// TLS is the certificate to show. Nil makes one, and an authority, in the
	// directory; both are kept when there are some already.
	TLS *Certificate
	// Registration lets anybody make an account (XEP-0077).
	Registration bool
	// ArchiveExpiry is how long the message archive keeps messages, as Prosody
	// writes it ("1d", "1w"). It should not exceed the relays' retention. Empty
	// means one day.
	ArchiveExpiry string
	// Hibernation is how long the server remembers a link that broke; 0 means 10
	// minutes. It is rounded to seconds.
	Hibernation time.Duration
	// Debug logs everything, content included. Never set it where logs are scanned.
	Debug bool
}

// Server is a Prosody's directory and, once started, its process.
type Server struct {
	Domain  string // the first of Options.Domains
	Addr    string // host:port, the port never 0
	CAPEM   []byte // of the authority that signed the certificate
	Dir     string // everything the server writes is below it
	Data    string // accounts, rosters, offline messages, archive, PEP
	LogFile string

	config string
	cmd    *exec.Cmd
	exited chan struct{} // closed when the process was reaped
}

// Prepare writes the configuration of a server into dir, which is created. What
// the directory holds already, data and certificates, stays.
func Prepare(dir string, o Options) (*Server, error) {
	o = o.withDefaults()
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("finding the directory: %w", err)
	}
	s := &Server{
		Domain:  o.Domains[0],
		Dir:     dir,
		Data:    filepath.Join(dir, "data"),
		LogFile: filepath.Join(dir, "prosody.log"),
		config:  filepath.Join(dir, "prosody.cfg.lua"),
	}
	if s.Addr, err = freePort(o.Address); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(s.Data, 0o750); err != nil {
		return nil, fmt.Errorf("making the data directory: %w", err)
	}
	if s.CAPEM, err = writeCertificate(dir, o); err != nil {
		return nil, err
	}
	text, err := renderConfig(s, o)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(s.config, text, 0o600); err != nil {
		return nil, fmt.Errorf("writing the configuration: %w", err)
	}
	return s, nil
}

func (o Options) withDefaults() Options {
	if len(o.Domains) == 0 {
		o.Domains = []string{"relay.test"}
	}
	if o.Address == "" {
		o.Address = "127.0.0.1:0"
	}
	if o.ArchiveExpiry == "" {
		o.ArchiveExpiry = "1d"
	}
	if o.Hibernation == 0 {
		o.Hibernation = 10 * time.Minute
	}
	return o
}

// freePort replaces port 0 by one that was free a moment ago.
func freePort(address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("reading the listen address: %w", err)
	}
	if port != "0" {
		return address, nil
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", address)
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	defer l.Close()
	return net.JoinHostPort(host, strconv.Itoa(l.Addr().(*net.TCPAddr).Port)), nil
}

// Start prepares dir and runs the server until Stop. It returns when the server
// answers. ctx bounds the start alone.
func Start(ctx context.Context, dir string, o Options) (*Server, error) {
	if err := Install(ctx); err != nil {
		return nil, err
	}
	s, err := Prepare(dir, o)
	if err != nil {
		return nil, err
	}
	return s, s.Start(ctx)
}

// Command returns the server's process, not started. It stays in the foreground
// and ends on SIGTERM, having moved what it holds unacknowledged to offline storage.
func (s *Server) Command() *exec.Cmd {
	// Not bound to a context: a demo leaves its server running, and Stop ends it orderly.
	cmd := exec.Command("prosody", "--config", s.config, "-F") //nolint:noctx // as said
	cmd.Dir = s.Dir
	return cmd
}

// Start runs a prepared or stopped server and waits until it answers.
func (s *Server) Start(ctx context.Context) error {
	if s.cmd != nil {
		return errors.New("prosody runs already")
	}
	console, err := os.OpenFile(filepath.Join(s.Dir, "console.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("opening the console log: %w", err)
	}
	defer console.Close()
	cmd := s.Command()
	cmd.Stdout, cmd.Stderr = console, console
	// A test's interrupt goes to the test alone, which then stops the server.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting prosody: %w", err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	s.cmd, s.exited = cmd, exited
	if err := s.Wait(ctx); err != nil {
		s.signal(syscall.SIGKILL)
		return err
	}
	return nil
}

// Wait returns once the server answers a client's stream header, or with an error
// that quotes the end of its log when ctx ends or the process did.
func (s *Server) Wait(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.probe(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.exited:
			return fmt.Errorf("prosody ended: %s", s.lastWords())
		case <-ctx.Done():
			return fmt.Errorf("waiting for prosody (%w): %s", err, s.lastWords())
		}
	}
}

// probe opens a stream and wants its features back.
func (s *Server) probe(ctx context.Context) error {
	d := net.Dialer{Timeout: time.Second}
	conn, err := d.DialContext(ctx, "tcp", s.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
	_, err = fmt.Fprintf(conn, "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "+
		"xmlns:stream='http://etherx.jabber.org/streams' to='%s' version='1.0'>", s.Domain)
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

func (s *Server) lastWords() string {
	var words []string
	for _, f := range []string{s.LogFile, filepath.Join(s.Dir, "console.log")} {
		b, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		words = append(words, string(b[max(0, len(b)-2000):]))
	}
	return strings.Join(words, "\n")
}

// PID is the process's id, 0 when the server does not run.
func (s *Server) PID() int {
	if s.cmd == nil {
		return 0
	}
	return s.cmd.Process.Pid
}

// Stop ends the server in an orderly way and waits for its end; after 10 seconds
// it is killed. Stopping a stopped server does nothing.
func (s *Server) Stop() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.exited:
		s.cmd, s.exited = nil, nil
	case <-time.After(10 * time.Second):
		s.signal(syscall.SIGKILL)
	}
}

// Kill ends the server at once, as a crash does.
func (s *Server) Kill() { s.signal(syscall.SIGKILL) }

// Freeze stops the server without closing its connections; Thaw lets it go on.
func (s *Server) Freeze() { _ = s.cmd.Process.Signal(syscall.SIGSTOP) }

// Thaw ends Freeze.
func (s *Server) Thaw() { _ = s.cmd.Process.Signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(sig)
	<-s.exited
	s.cmd, s.exited = nil, nil
}

// Restart stops the server and starts it again on the same address and data.
func (s *Server) Restart(ctx context.Context) error {
	s.Stop()
	return s.Start(ctx)
}
