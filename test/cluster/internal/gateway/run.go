package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// every is how often the cluster's objects are read.
const every = time.Second

// Runner runs a gateway.
type Runner struct {
	Objects Objects
	Name    Key
	Options Options
	Log     io.Writer

	config string
	proxy  *exec.Cmd
}

// Run serves until ctx ends. A state of the cluster that makes no configuration, and a configuration that HAProxy
// refuses, are told and leave the former one in force.
func (r *Runner) Run(ctx context.Context) error {
	if err := os.MkdirAll(r.Options.Dir, 0o700); err != nil {
		return fmt.Errorf("making the gateway's folder: %w", err)
	}
	defer r.stop()
	said := ""
	for {
		err := r.once(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && err.Error() != said {
			said = err.Error()
			fmt.Fprintln(r.Log, said)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(every):
		}
	}
}

// once brings HAProxy and the routes' status to what is applied.
func (r *Runner) once(ctx context.Context) error {
	state, err := r.Objects.Read(ctx, r.Name)
	if err != nil {
		return err
	}
	t, err := Translate(state, r.Name, r.Options)
	if err != nil {
		return err
	}
	if err := r.serve(ctx, t); err != nil {
		return err
	}
	for _, v := range t.Verdicts {
		if err := r.Objects.Tell(ctx, r.Name, v); err != nil {
			return err
		}
	}
	return nil
}

// serve starts HAProxy, or has it read a new configuration.
func (r *Runner) serve(ctx context.Context, t Translation) error {
	config := filepath.Join(r.Options.Dir, "haproxy.cfg")
	whole := t.Config // certificates count as configuration
	for _, name := range slices.Sorted(maps.Keys(t.Files)) {
		if err := os.WriteFile(filepath.Join(r.Options.Dir, name), t.Files[name], 0o600); err != nil {
			return fmt.Errorf("writing a certificate: %w", err)
		}
		whole += string(t.Files[name])
	}
	if whole == r.config && r.proxy != nil {
		return nil
	}
	if err := os.WriteFile(config+".new", []byte(t.Config), 0o600); err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	if out, err := exec.CommandContext(ctx, "haproxy", "-c", "-f", config+".new").CombinedOutput(); err != nil {
		return fmt.Errorf("haproxy refuses the configuration: %w\n%s", err, bytes.TrimSpace(out))
	}
	if err := os.Rename(config+".new", config); err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	r.config = whole
	if r.proxy != nil {
		return r.proxy.Process.Signal(syscall.SIGUSR2) // the master starts new workers, and the old ones end
	}
	r.proxy = exec.CommandContext(context.WithoutCancel(ctx), "haproxy", "-W", "-f", config) // stop ends it
	r.proxy.Stdout, r.proxy.Stderr = r.Log, r.Log
	r.proxy.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := r.proxy.Start(); err != nil {
		r.proxy = nil
		return fmt.Errorf("starting haproxy: %w", err)
	}
	return nil
}

func (r *Runner) stop() {
	if r.proxy == nil {
		return
	}
	_ = r.proxy.Process.Signal(syscall.SIGTERM)
	_ = r.proxy.Wait()
}

// Installed returns nil if HAProxy is there.
func Installed() error {
	if _, err := exec.LookPath("haproxy"); err != nil {
		return errors.New("haproxy is missing: install Debian's package haproxy")
	}
	return nil
}
