// Package ejabberd runs a real ejabberd (Debian's, 23.01) for tests, configured as
// we recommend one for Relaykeep: clients only, TLS always, no federation. It runs
// as an ordinary process with a directory and ports of its own, and is no Erlang
// node that others could reach. It must not know what travels through the server.
package ejabberd

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/relaykeep/relaykeep/test/lab/authority"
	"github.com/relaykeep/relaykeep/test/services/internal/freeport"
	"github.com/relaykeep/relaykeep/test/services/internal/xmppd"
)

// Options say what a server is like. The zero value is a server of the domain
// relay.test on free ports of 127.0.0.1 with a certificate authority of its own,
// on which nobody can register.
type Options struct {
	// Domains are the server's virtual hosts. The first is Server.Domain.
	Domains []string
	// ForContacts are those domains where clients may show their keys to contacts alone.
	// Elsewhere anybody may read keys.
	ForContacts []string
	// Address is where to listen for clients, host:port; port 0 takes a free one.
	Address string
	// Registration lets anybody make an account (XEP-0077).
	Registration bool
	// Hibernation is how long the server remembers a link that broke; 0 means 10
	// minutes. It is rounded to seconds.
	Hibernation time.Duration
	// OfflineMessages is how many messages wait for an account that is away; 0 means
	// 5,000.
	OfflineMessages int
	// AckQueue is how many stanzas a session may leave unacknowledged before it is ended;
	// 0 means 5,000.
	AckQueue int
	// Returns has the server return what a session that ended had not acknowledged, which
	// is ejabberd's default, instead of keeping it for the next session.
	Returns bool
	// WebSocket lets browsers connect (RFC 7395) at Server.WebSocket.
	WebSocket bool
	// UploadLimit is the largest file that HTTP Upload (XEP-0363) takes, in bytes;
	// 0 means 128 MiB.
	UploadLimit int64
	// Debug logs everything, content included.
	Debug bool
}

// Server is an ejabberd's directory and, once started, its process: Domain is the
// first of Options.Domains, the port of Addr is never 0, and everything that the
// server writes is below Dir. The certificate names 127.0.0.1 too.
type Server struct {
	xmppd.Process

	Data   string // Mnesia's tables: accounts, rosters, offline messages, archive, PEP
	Upload string // what HTTP Upload keeps
	// HTTPAddr is host:port of HTTP Upload and of the administration, both by HTTPS;
	// the latter answers on loopback alone.
	HTTPAddr string

	config    string
	libraries string
	roots     *x509.CertPool
}

// Prepare writes the configuration of a server into dir, which is created. What
// the directory holds already, data and certificates, stays.
func Prepare(ctx context.Context, dir string, o Options) (*Server, error) {
	o = o.withDefaults()
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("finding the directory: %w", err)
	}
	s := &Server{
		Process: xmppd.Process{
			Name: "ejabberd", Domain: o.Domains[0], Dir: dir, LogFile: filepath.Join(dir, "ejabberd.log"),
		},
		Data:   filepath.Join(dir, "data"),
		Upload: filepath.Join(dir, "upload"),
		config: filepath.Join(dir, "ejabberd.yml"),
	}
	s.Make = s.Command
	if s.libraries, err = libraries(); err != nil {
		return nil, err
	}
	for _, d := range []string{s.Data, s.Upload} {
		if err := os.MkdirAll(d, 0o750); err != nil {
			return nil, fmt.Errorf("making a directory: %w", err)
		}
	}
	host, _, err := net.SplitHostPort(o.Address)
	if err != nil {
		return nil, fmt.Errorf("reading the listen address: %w", err)
	}
	if !net.ParseIP(host).IsLoopback() { // the administration answers on loopback alone
		host = "127.0.0.1"
	}
	listen, err := freeport.Resolve(ctx, o.Address, net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, err
	}
	s.Addr, s.HTTPAddr = listen[0], listen[1]
	return s, s.write(o)
}

// WebSocket is where a browser connects, for a server with Options.WebSocket. The name in
// it is the domain: the browser must find this machine under it.
func (s *Server) WebSocket() string {
	_, port, _ := net.SplitHostPort(s.HTTPAddr) // Prepare has split it
	return "wss://" + net.JoinHostPort(s.Domain, port) + "/websocket"
}

// write writes certificate and configuration.
func (s *Server) write(o Options) error {
	ca, err := authority.Open(filepath.Join(s.Dir, "authority"))
	if err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(s.HTTPAddr)
	if err != nil {
		return fmt.Errorf("reading the listen address: %w", err)
	}
	pair, err := ca.Server("ejabberd", append([]string{"127.0.0.1", host}, o.Domains...)...)
	if err != nil {
		return err
	}
	s.CAPEM = []byte(ca.PEM())
	s.roots = x509.NewCertPool()
	s.roots.AppendCertsFromPEM(s.CAPEM)
	text, err := renderConfig(s, o, pair)
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.config, text, 0o600); err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
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
	if o.Hibernation == 0 {
		o.Hibernation = 10 * time.Minute
	}
	if o.OfflineMessages == 0 {
		o.OfflineMessages = 5000
	}
	if o.UploadLimit == 0 {
		o.UploadLimit = 128 << 20
	}
	return o
}

// Start prepares dir and runs the server until Stop. It returns when the server
// answers. ctx bounds the start alone.
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

// Command returns the server's process, not started. It stays in the foreground
// and ends on SIGTERM, having moved what it holds unacknowledged to offline storage.
func (s *Server) Command() *exec.Cmd {
	// As ejabberdctl does it, without its change of user, and without a node's name:
	// such an Erlang neither listens for other nodes nor starts epmd.
	cmd := exec.Command("erl", "-noinput", "+K", "true", "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none", //nolint:noctx // Stop ends it orderly
		"-mnesia", "dir", fmt.Sprintf("%q", s.Data),
		"-ejabberd", "log_rotate_count", "0",
		"-s", "ejabberd")
	cmd.Dir = s.Dir
	cmd.Env = append(os.Environ(),
		"ERL_LIBS="+s.libraries, "HOME="+s.Dir, "ERL_CRASH_DUMP_BYTES=0", "ERL_MAX_PORTS=8192",
		"EJABBERD_CONFIG_PATH="+s.config, "EJABBERD_LOG_PATH="+s.LogFile)
	return cmd
}
