// Package vault runs a real HashiCorp Vault for tests and for the demo: a server
// with storage on disk, TLS, and the Kubernetes auth plugin, that is initialised
// with one unseal key and unsealed by itself. It must not know what is kept in it:
// relay/vault/setup prepares it for relays.
//
// There are three layers, as in the package prosody beside it: Prepare writes a
// server's directory and may be called again over an existing one; Server.Command
// and Server.Wait let the caller run the process as it likes; Start and StartT do
// all of it.
package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/vault/setup"
	"github.com/relaykeep/relaykeep/test/services/freeze"
	"github.com/relaykeep/relaykeep/test/services/internal/freeport"
)

// Options say what a server is like. The zero value listens on a free port of
// 127.0.0.1 with a certificate authority of its own.
type Options struct {
	// Address is where to listen, host:port; port 0 takes a free one.
	Address string
	// TLS is the certificate to show. Nil makes one, and an authority, in the
	// directory; both are kept when there are some already.
	TLS *Certificate
}

// Certificate is a server's certificate with its authority, all PEM.
type Certificate struct{ Chain, Key, CA []byte }

// Server is a Vault's directory and, once started, its process.
type Server struct {
	Addr    string // host:port, the port never 0
	CAPEM   []byte // of the authority that signed the certificate
	Dir     string // everything the server writes is below it
	LogFile string

	binaries Binaries
	cmd      *exec.Cmd
	exited   chan struct{} // closed when the process was reaped
}

// Prepare writes the configuration of a server into dir, which is created. What the
// directory holds already, storage, keys and certificates, stays.
func Prepare(ctx context.Context, dir string, o Options) (*Server, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("finding the directory: %w", err)
	}
	s := &Server{Dir: dir, LogFile: filepath.Join(dir, "vault.log")}
	if s.binaries, err = FindBinaries(ctx); err != nil {
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
	if err := os.MkdirAll(s.storage(), 0o700); err != nil {
		return nil, fmt.Errorf("making the storage directory: %w", err)
	}
	if s.CAPEM, err = writeCertificate(dir, s.Addr, o.TLS); err != nil {
		return nil, err
	}
	return s, s.writeConfig(ctx)
}

// Files in the server's directory.
func (s *Server) storage() string    { return filepath.Join(s.Dir, "storage") }
func (s *Server) configFile() string { return filepath.Join(s.Dir, "vault.json") }
func (s *Server) keysFile() string   { return filepath.Join(s.Dir, "keys.json") }

// writeConfig writes the server's configuration. Its storage is raft, of one node,
// for which a port is needed that nobody else ever uses.
func (s *Server) writeConfig(ctx context.Context) error {
	host, _, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return fmt.Errorf("reading the listen address: %w", err)
	}
	listen, err := freeport.Resolve(ctx, s.Addr, net.JoinHostPort(host, "0"))
	if err != nil {
		return err
	}
	config := map[string]any{
		"storage": map[string]any{"raft": map[string]any{
			"path": s.storage(), "node_id": "one", "performance_multiplier": "1",
		}},
		"cluster_addr": "https://" + listen[1],
		"listener": map[string]any{"tcp": map[string]any{
			"address":         s.Addr,
			"cluster_address": listen[1],
			"tls_cert_file":   filepath.Join(s.Dir, certFile),
			"tls_key_file":    filepath.Join(s.Dir, keyFile),
		}},
		"api_addr":         s.Address(),
		"plugin_directory": s.binaries.Plugins,
		"disable_mlock":    true,
		"disable_cache":    false,
		"ui":               false,
		"log_level":        "info",
	}
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return fmt.Errorf("rendering the configuration: %w", err)
	}
	if err := os.WriteFile(s.configFile(), text, 0o600); err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	return nil
}

// Address is the server's https URL.
func (s *Server) Address() string { return "https://" + s.Addr }

// Contract is the server as a relay's configuration names it, with default mounts.
func (s *Server) Contract() contract.Vault {
	return contract.Vault{
		Address: s.Address(), CABundle: string(s.CAPEM),
		AuthPath: setup.DefaultAuthPath, KVMount: setup.DefaultKVMount,
		TransitMount: setup.DefaultTransitMount, PKIMount: setup.DefaultPKIMount,
	}
}

// Start prepares dir and runs the server until Stop. It returns when the server is
// unsealed. ctx bounds the start alone.
func Start(ctx context.Context, dir string, o Options) (*Server, error) {
	s, err := Prepare(ctx, dir, o)
	if err != nil {
		return nil, err
	}
	return s, s.Start(ctx)
}

// Command returns the server's process, not started. It stays in the foreground and
// ends on SIGTERM. What it prints belongs into LogFile.
func (s *Server) Command() *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), s.binaries.Vault, "server", "-config", s.configFile())
	cmd.Dir = s.Dir
	// Nothing of the caller's environment may configure it, but for how often Go collects
	// garbage; plugins' sockets go where they are removed with the rest.
	cmd.Env = []string{"HOME=" + s.Dir, "TMPDIR=" + os.TempDir(), "PATH=/usr/bin:/bin", "GOGC=" + os.Getenv("GOGC")}
	return cmd
}

// Start runs a prepared or stopped server and waits until it is unsealed.
func (s *Server) Start(ctx context.Context) error {
	if s.cmd != nil {
		return errors.New("vault runs already")
	}
	log, err := os.OpenFile(s.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("opening the log: %w", err)
	}
	defer log.Close()
	cmd := s.Command()
	cmd.Stdout, cmd.Stderr = log, log
	// A test's interrupt goes to the test alone, which then stops the server.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting vault: %w", err)
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

// Stop ends the server in an orderly way and waits for its end; after 10 seconds it
// is killed. Stopping a stopped server does nothing.
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
func (s *Server) Freeze() { freeze.Process(s.cmd.Process.Pid) }

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

func (s *Server) lastWords() string {
	b, err := os.ReadFile(s.LogFile)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-3000):])
}
