package rig

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/config"
	"github.com/relaykeep/relaykeep/relay/serve"
)

// processVariable makes a test binary a relay's process: its value is the directory
// with the configuration.
const processVariable = "RELAYKEEP_TEST_RELAY"

// beRelay is the relay's process. It prints where it listens and runs until it is
// killed.
func beRelay(dir string) (code int) {
	o := options(dir, config.Arguments{})
	file, err := config.Load(o.ConfigPath)
	var server contract.PostgresServer
	if err == nil {
		server, err = readServer(dir)
	}
	if err == nil {
		o.Arguments = config.Arguments{Vault: file.Vault, Carrier: file.Carrier, Postgres: server}
		o.Log = slog.New(slog.NewJSONHandler(os.Stderr, nil))
		o.Listening = func(name string, a net.Addr) { fmt.Println(name, a) }
		err = serve.Run(context.Background(), o)
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// StartProcess runs the relay as a process of its own, which Stop kills. The package's
// TestMain must call Main.
func (b *Business) StartProcess() {
	b.t.Helper()
	b.configure()
	token, err := b.IssueToken(b.t.Context(), contract.AudienceRelay(Region))
	check(b.t, err)
	check(b.t, os.WriteFile(filepath.Join(b.Dir, "token"), []byte(token), 0o600))
	cmd := exec.CommandContext(context.Background(), os.Args[0])
	cmd.Env = append(os.Environ(), processVariable+"="+b.Dir)
	cmd.Stderr = &b.Log
	out, err := cmd.StdoutPipe()
	check(b.t, err)
	check(b.t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	b.process = &Process{cmd, ended}
	b.stop = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	b.t.Cleanup(b.stop)
	lines := bufio.NewScanner(out)
	for range 2 {
		if !lines.Scan() {
			b.t.Fatal("the relay's process ended")
		}
		name, addr, _ := strings.Cut(lines.Text(), " ")
		b.listens(name, addr)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
}

// Process is a relay's process.
type Process struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

// Freeze stops the relay's process without closing its connections, and leaves it to the caller: the
// business may start another.
func (b *Business) Freeze() *Process {
	b.t.Helper()
	check(b.t, b.process.cmd.Process.Signal(syscall.SIGSTOP))
	return b.process
}

// Thaw lets a process go on. The channel is closed when it has ended.
func (p *Process) Thaw() <-chan struct{} {
	_ = p.cmd.Process.Signal(syscall.SIGCONT)
	return p.ended
}
