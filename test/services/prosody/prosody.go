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
	"time"

	"github.com/relaykeep/relaykeep/test/services/internal/freeport"
	"github.com/relaykeep/relaykeep/test/services/internal/xmppd"
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
	// Invitations lets those make an account who have an invitation's token (XEP-0445),
	// once for each: see Server.Invite. Registration is not looked at then.
	Invitations bool
	// ArchiveExpiry is how long the message archive keeps messages, as Prosody
	// writes it ("1d", "1w"). It should not exceed the relays' retention. Empty
	// means one day.
	ArchiveExpiry string
	// ArchiveLimit is how many stanzas the archive of an account holds; 0 means
	// Prosody's default of 10,000. An archive that is full is rewritten with each
	// hundredth stanza, which takes a second or more.
	ArchiveLimit int
	// ArchiveInSQL keeps the archive in an SQLite database instead of one file for each account, which
	// Prosody reads from its beginning. It needs Debian's lua-dbi-sqlite3.
	ArchiveInSQL bool
	// Hibernation is how long the server remembers a link that broke; 0 means 10
	// minutes. It is rounded to seconds.
	Hibernation time.Duration
	// UploadAddress is where the web server for encrypted files (XEP-0363) listens,
	// host:port; empty takes a free port on the host of Address.
	UploadAddress string
	// WebSocket lets browsers connect (RFC 7395) at Server.WebSocket. It needs the web
	// server, so uploads.
	WebSocket bool
	// NoUploads leaves the web server out.
	NoUploads bool
	// Modules are modules of the test's own, in Lua by their names, that the server
	// loads beside Prosody's.
	Modules map[string]string
	// Debug logs everything, content included. Never set it where logs are scanned.
	Debug bool
}

// Server is a Prosody's directory and, once started, its process: Domain is the
// first of Options.Domains, the port of Addr is never 0, and everything that the
// server writes is below Dir.
type Server struct {
	xmppd.Process

	UploadAddr string // host:port of the web server for files; empty without one
	Data       string // accounts, rosters, offline messages, archive, PEP, files

	config string
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
		Process: xmppd.Process{
			Name: "prosody", Domain: o.Domains[0], Dir: dir, LogFile: filepath.Join(dir, "prosody.log"),
		},
		Data:   filepath.Join(dir, "data"),
		config: filepath.Join(dir, "prosody.cfg.lua"),
	}
	if o.ArchiveInSQL {
		if found, err := filepath.Glob("/usr/lib/*/lua/*/dbd/sqlite3.so"); err != nil || len(found) == 0 {
			return nil, errors.New("the driver of Lua for SQLite is not installed: run `make test-env`, or `apt-get install lua-dbi-sqlite3` as root")
		}
	}
	s.Make = s.Command
	listen := []string{o.Address}
	if !o.NoUploads {
		listen = append(listen, o.UploadAddress)
	}
	if listen, err = freeport.Resolve(context.Background(), listen...); err != nil {
		return nil, err
	}
	if s.Addr = listen[0]; !o.NoUploads {
		s.UploadAddr = listen[1]
	}
	if err := os.MkdirAll(s.Data, 0o750); err != nil {
		return nil, fmt.Errorf("making the data directory: %w", err)
	}
	if s.CAPEM, err = writeCertificate(dir, o); err != nil {
		return nil, err
	}
	if err := s.writeModules(o); err != nil {
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

// WebSocket is where a browser connects, for a server with Options.WebSocket. The name in
// it is the domain: the browser must find this machine under it.
func (s *Server) WebSocket() string {
	_, port, _ := net.SplitHostPort(s.UploadAddr) // Prepare has split it
	return "wss://" + net.JoinHostPort(s.Domain, port) + "/xmpp-websocket"
}

// modules is where the test's own modules are.
func (s *Server) modules() string { return filepath.Join(s.Dir, "modules") }

func (s *Server) writeModules(o Options) error {
	if err := os.MkdirAll(s.modules(), 0o750); err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	for name, code := range o.Modules {
		if err := os.WriteFile(filepath.Join(s.modules(), "mod_"+name+".lua"), []byte(code), 0o600); err != nil {
			return fmt.Errorf("writing a module: %w", err)
		}
	}
	return nil
}

func (o Options) withDefaults() Options {
	if len(o.Domains) == 0 {
		o.Domains = []string{"relay.test"}
	}
	if o.Address == "" {
		o.Address = "127.0.0.1:0"
	}
	if host, _, err := net.SplitHostPort(o.Address); err == nil && o.UploadAddress == "" {
		o.UploadAddress = net.JoinHostPort(host, "0")
	}
	if o.ArchiveExpiry == "" {
		o.ArchiveExpiry = "1d"
	}
	if o.Hibernation == 0 {
		o.Hibernation = 10 * time.Minute
	}
	return o
}

// ip is where the server listens.
func (o Options) ip() net.IP {
	host, _, err := net.SplitHostPort(o.Address)
	if ip := net.ParseIP(host); err == nil && ip != nil {
		return ip
	}
	return net.IPv4(127, 0, 0, 1)
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
