// Package postgres runs a real PostgreSQL (Debian's, 15) for tests: TLS always, passwords by
// SCRAM, one role and database for each that asks. It must not know what is kept in it.
//
// There are three layers, as in the package prosody beside it: Prepare writes a server's
// directory and may be called again over an existing one; Server.Command and Server.Wait let
// the caller run the process as it likes; Start and StartT do all of it.
package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/relaykeep/relaykeep/test/lab/authority"
	"github.com/relaykeep/relaykeep/test/services/freeze"
	"github.com/relaykeep/relaykeep/test/services/internal/freeport"
)

// Options say what a server is like. The zero value listens on a free port of 127.0.0.1 with
// a certificate authority of its own.
type Options struct {
	// Address is where to listen, host:port; port 0 takes a free one.
	Address string
	// Settings are further lines of postgresql.conf, such as "max_connections = 5".
	Settings []string
	// Fsync has the server wait for the disk, as one does that guards anything. Without it,
	// what was committed survives the end of any process, but not of the machine.
	Fsync bool
}

// Server is a PostgreSQL's directory and, once started, its process.
type Server struct {
	Addr  string // host:port, the port never 0
	CAPEM []byte // of the authority that signed the certificate
	Dir   string // everything the server writes is below it

	programs string // directory of the server's programs
	cmd      *exec.Cmd
	exited   chan struct{} // closed when the process was reaped

	mu   sync.Mutex // guards free
	free []Database // that LendDatabaseT may lend
}

// Superuser may do everything, with this password.
const (
	Superuser = "postgres"
	password  = "of the test server"
)

// Programs returns the directory of the newest PostgreSQL's programs that Debian has installed.
func Programs() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(found) == 0 {
		return "", errors.New("PostgreSQL is not installed: run `make test-env`, or `apt-get install postgresql` as root")
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
		return n
	}
	return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })), nil
}

// Prepare makes a database cluster in dir, which is created, unless there is one, and writes
// its configuration.
func Prepare(ctx context.Context, dir string, o Options) (*Server, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("finding the directory: %w", err)
	}
	s := &Server{Dir: dir}
	if s.programs, err = Programs(); err != nil {
		return nil, err
	}
	if o.Address == "" {
		o.Address = "127.0.0.1:0"
	}
	listen, err := freeport.Resolve(ctx, o.Address)
	if err != nil {
		return nil, err
	}
	s.Addr = listen[0]
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the server's directory: %w", err)
	}
	if _, err := os.Stat(filepath.Join(s.data(), "PG_VERSION")); err != nil {
		if err := s.initialize(ctx); err != nil {
			return nil, err
		}
	}
	return s, s.configure(o)
}

// Files in the server's directory.
func (s *Server) data() string    { return filepath.Join(s.Dir, "data") }
func (s *Server) logFile() string { return filepath.Join(s.Dir, "postgres.log") }

// initialize makes the cluster.
func (s *Server) initialize(ctx context.Context) error {
	secret := filepath.Join(s.Dir, "password")
	if err := os.WriteFile(secret, []byte(password+"\n"), 0o600); err != nil {
		return fmt.Errorf("writing the superuser's password: %w", err)
	}
	cmd := exec.CommandContext(ctx, filepath.Join(s.programs, "initdb"), "--no-sync", "--no-instructions", "--encoding=UTF8", "--locale=C",
		"--username="+Superuser, "--pwfile="+secret, "--auth=scram-sha-256", "--pgdata="+s.data())
	s.confine(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("making a database cluster: %w: %s", err, out)
	}
	return nil
}

// configure writes certificate and configuration.
func (s *Server) configure(o Options) error {
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return fmt.Errorf("reading the listen address: %w", err)
	}
	ca, err := authority.Open(filepath.Join(s.Dir, "authority"))
	if err != nil {
		return err
	}
	pair, err := ca.Server("postgres", host)
	if err != nil {
		return err
	}
	s.CAPEM = []byte(ca.PEM())
	fsync := "off"
	if o.Fsync {
		fsync = "on"
	}
	lines := append([]string{
		"listen_addresses = '" + host + "'",
		"port = " + port,
		"unix_socket_directories = ''",
		"ssl = on",
		"ssl_cert_file = '" + pair.Cert + "'",
		"ssl_key_file = '" + pair.Key + "'",
		"fsync = " + fsync,
		"shared_buffers = 32MB",
		"max_connections = 100",
		"dynamic_shared_memory_type = mmap", // is below the data, and goes with it when the server was killed
		"logging_collector = off",
	}, o.Settings...)
	for name, text := range map[string]string{
		"postgresql.conf": joined(lines),
		"pg_hba.conf":     "hostssl all all all scram-sha-256\n",
	} {
		if err := os.WriteFile(filepath.Join(s.data(), name), []byte(text), 0o600); err != nil {
			return fmt.Errorf("writing the server's configuration: %w", err)
		}
	}
	return nil
}

func joined(lines []string) (text string) {
	for _, l := range lines {
		text += l + "\n"
	}
	return text
}

// nobody is the user of that name on every Linux.
const nobody = 65534

// confine makes a program of PostgreSQL run where we are root, which it refuses to be: in a
// user namespace of its own in which it is nobody, but whose files are ours.
func (s *Server) confine(cmd *exec.Cmd) {
	cmd.Dir = s.Dir
	cmd.Env = []string{"HOME=" + s.Dir, "PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
	// A test's interrupt goes to the test alone, which then stops the server.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: 0, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: 0, Size: 1}}
	}
}

// Start prepares dir and runs the server until Stop. It returns when the server answers. ctx
// bounds the start alone.
func Start(ctx context.Context, dir string, o Options) (*Server, error) {
	if err := Install(ctx); err != nil {
		return nil, err
	}
	s, err := Prepare(ctx, dir, o)
	if err != nil {
		return nil, err
	}
	return s, s.Start(ctx)
}

// Command returns the server's process, not started. It stays in the foreground, and ends on
// SIGINT at once and orderly, ending sessions. What it prints belongs into postgres.log.
func (s *Server) Command() *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), filepath.Join(s.programs, "postgres"), "-D", s.data())
	s.confine(cmd)
	return cmd
}

// Start runs a prepared or stopped server and waits until it answers.
func (s *Server) Start(ctx context.Context) error {
	if s.cmd != nil {
		return errors.New("postgres runs already")
	}
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("opening the log: %w", err)
	}
	defer log.Close()
	cmd := s.Command()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting postgres: %w", err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	s.cmd, s.exited = cmd, exited
	if err := s.Wait(ctx); err != nil {
		s.Kill()
		return err
	}
	return nil
}

// Wait returns once the server answers. When ctx ends or the process did, the error quotes the
// end of its log.
func (s *Server) Wait(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := s.Query(ctx, Superuser, "SELECT 1")
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.exited:
			return fmt.Errorf("postgres ended: %s", s.lastWords())
		case <-ctx.Done():
			return fmt.Errorf("waiting for postgres (%w): %s", err, s.lastWords())
		}
	}
}

// Stop ends the server in an orderly way and waits for its end; after 10 seconds it is killed.
// Stopping a stopped server does nothing.
func (s *Server) Stop() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGINT)
	select {
	case <-s.exited:
		s.cmd, s.exited = nil, nil
	case <-time.After(10 * time.Second):
		s.Kill()
	}
}

// Kill ends the server and all its sessions at once, as a crash does.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	// Sessions lead process groups of their own, and one that is busy outlives the postmaster,
	// might still commit, and keeps a new one from starting. While the postmaster stands still it
	// makes no others.
	freeze.Process(s.cmd.Process.Pid)
	sessions := s.Sessions()
	_ = s.cmd.Process.Signal(syscall.SIGKILL)
	<-s.exited
	s.cmd, s.exited = nil, nil
	for _, pid := range sessions {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for _, pid := range sessions {
		for end := time.Now().Add(10 * time.Second); syscall.Kill(pid, 0) == nil && time.Now().Before(end); {
			<-tick.C
		}
	}
}

// Sessions returns the ids of the server's processes, apart from the first.
func (s *Server) Sessions() (pids []int) {
	if s.cmd == nil {
		return nil
	}
	parent := strconv.Itoa(s.cmd.Process.Pid)
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue // it has ended
		}
		// pid (name) state parent: a name may have spaces.
		after := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(f))); err == nil && len(after) > 1 && after[1] == parent {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Freeze stops the server without closing its connections; Thaw lets it go on.
func (s *Server) Freeze() {
	for _, pid := range append(s.Sessions(), s.cmd.Process.Pid) {
		freeze.Process(pid)
	}
}

// Thaw ends Freeze.
func (s *Server) Thaw() {
	for _, pid := range append(s.Sessions(), s.cmd.Process.Pid) {
		_ = syscall.Kill(pid, syscall.SIGCONT)
	}
}

func (s *Server) lastWords() string {
	b, err := os.ReadFile(s.logFile())
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-3000):])
}
