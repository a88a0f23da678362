package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	tenants "github.com/relaykeep/relaykeep/relay/vault"
)

// Time limits.
const (
	tokenEvery = 10 * time.Minute       // the relay's token is renewed, as a kubelet does
	lookEvery  = 100 * time.Millisecond // for the relay to be ready
	endTime    = 30 * time.Second       // for the relay to end
)

// runAll starts everything, says how to use it, and runs until ctx ends or the relay does.
func runAll(ctx context.Context, o options, out io.Writer) (err error) {
	fmt.Fprintln(out, "starting an API server, Vault and Prosody ...")
	s, err := startSurroundings(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	out = &lines{to: out}
	hook := httptest.NewTLSServer(&receiver{credentials: s.access, out: out})
	defer hook.Close()
	if err := s.prepareRelay(ctx, hook); err != nil {
		return err
	}
	r, err := s.startRelay(o)
	if err != nil {
		return err
	}
	defer r.end()
	if o.debugger != "" {
		fmt.Fprintf(out, "the relay waits for a debugger: %s connect %s\n", o.debugger, o.listen)
	}
	go s.keepToken(ctx, out)
	return s.watch(ctx, o, r, out)
}

// watch waits until the relay is ready, says how to use it, and returns when ctx ends. It
// returns an error when the relay ends by itself.
func (s *surroundings) watch(ctx context.Context, o options, r *process, out io.Writer) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	shown := false
	for {
		select {
		case <-ctx.Done():
			fmt.Fprintln(out, "stopping ...")
			return nil
		case <-r.ended:
			return errors.New("the relay ended; what it logged is above")
		case <-tick.C:
			if shown {
				continue
			}
			u, err := s.usage(ctx, o)
			if err == nil {
				shown = true
				fmt.Fprint(out, u)
			}
		}
	}
}

// lines has several writers share one, a whole write at a time.
type lines struct {
	mu sync.Mutex // guards to
	to io.Writer
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.to.Write(p)
}

// prepareRelay writes what the operator and the kubelet give a relay.
func (s *surroundings) prepareRelay(ctx context.Context, hook *httptest.Server) error {
	raw, err := json.Marshal(s.Config(namespace, account, business, host, s.prosody, hook))
	if err != nil {
		return fmt.Errorf("writing the relay's configuration: %w", err)
	}
	if err := os.WriteFile(filepath.Join(s.Dir, configFile), raw, 0o600); err != nil {
		return fmt.Errorf("writing the relay's configuration: %w", err)
	}
	if err := os.Mkdir(filepath.Join(s.Dir, dataDir), 0o700); err != nil {
		return fmt.Errorf("making the relay's volume: %w", err)
	}
	return s.writeToken(ctx)
}

func (s *surroundings) writeToken(ctx context.Context) error {
	token, err := s.token(ctx)
	if err != nil {
		return err
	}
	return writeWhole(filepath.Join(s.Dir, tokenFile), []byte(token))
}

// keepToken renews the relay's token until ctx ends.
func (s *surroundings) keepToken(ctx context.Context, out io.Writer) {
	tick := time.NewTicker(tokenEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := s.writeToken(ctx); err != nil && ctx.Err() == nil {
				fmt.Fprintln(out, "the relay's token is not renewed:", err)
			}
		}
	}
}

// access reads the business's credentials.
func (s *surroundings) access(ctx context.Context) (tenants.Access, error) {
	t := tenants.Tenant{KVMount: s.Vault.Contract().KVMount, Namespace: namespace, Account: account}
	return t.Access(ctx, s.Root, s.uid, 1)
}

// process is the relay's, or that of the debugger that runs it.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it was reaped
}

// startRelay runs the relay as a process of its own, so that a debugger sees nothing else.
func (s *surroundings) startRelay(o options) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	argv := []string{self, relayCommand, s.Dir, o.logLevel}
	if o.debugger != "" {
		argv = append([]string{
			o.debugger, "exec", "--headless", "--api-version=2", "--accept-multiclient", "--listen=" + o.listen, self, "--",
		}, argv[1:]...)
	}
	cmd := exec.CommandContext(context.Background(), argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	// An interrupt in the terminal reaches this program alone, which ends them in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", strings.Join(argv[:2], " "), err)
	}
	p := &process{cmd: cmd, ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// end has the relay stop in order, and ends what does not within the time: the relay and
// its debugger are one process group.
func (p *process) end() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGINT)
	select {
	case <-p.ended:
	case <-time.After(endTime):
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.ended
}
