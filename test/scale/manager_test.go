package scale_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/test/usage"
)

// buildManager builds the operator as its image has it.
func buildManager(tb testing.TB) (program string) {
	tb.Helper()
	program = filepath.Join(tb.TempDir(), "manager")
	out, err := exec.CommandContext(tb.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "../../cmd/manager").CombinedOutput()
	if err != nil {
		tb.Fatalf("building the manager: %v\n%s", err, out)
	}
	return program
}

// manager is the operator, as a process.
type manager struct {
	tb      testing.TB
	cmd     *exec.Cmd
	metrics string
	log     *bytes.Buffer
}

// startManager starts the operator with the settings that the chart gives it, and ends it with the test.
func startManager(tb testing.TB, program, kubeconfig string) *manager {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(tb, err)
	m := &manager{tb: tb, metrics: l.Addr().String(), log: &bytes.Buffer{}}
	check(tb, l.Close())
	m.cmd = exec.CommandContext(context.WithoutCancel(tb.Context()), program, "--kubeconfig", kubeconfig, "--relay-image", image, "--leader-elect",
		"--operator-namespace", operatorNamespace, "--health-probe-bind-address", "0", "--metrics-bind-address", m.metrics, "--metrics-secure=false")
	m.cmd.Env = append(os.Environ(), "GOGC=", "GOMEMLIMIT=") // as the chart has it, whatever the benchmarks run with
	m.cmd.Stderr = m.log
	check(tb, m.cmd.Start())
	tb.Cleanup(func() {
		m.stop()
		if tb.Failed() {
			tb.Logf("the manager said at last:\n%s", tail(m.log.String()))
		}
	})
	return m
}

func tail(s string) string { return s[max(0, len(s)-4000):] }

// stop ends the manager and waits until it has.
func (m *manager) stop() {
	m.tb.Helper()
	if m.cmd.ProcessState != nil {
		return
	}
	check(m.tb, m.cmd.Process.Signal(syscall.SIGTERM))
	if err := m.cmd.Wait(); err != nil {
		m.tb.Errorf("the manager ended with %v", err)
	}
}

// passes are how often the controller of BusinessRelays has reconciled one, and how many are in its hands or wait.
type passes struct{ done, pending float64 }

// passes asks the manager; none while it does not answer.
func (m *manager) passes(ctx context.Context) (p passes) {
	m.tb.Helper()
	raw, err := m.scrape(ctx)
	if err != nil {
		return passes{}
	}
	for labels, value := range series(m.tb, raw, "controller_runtime_reconcile_total") {
		if labels["controller"] == "businessrelay" {
			p.done += value
		}
	}
	for _, name := range []string{"workqueue_depth", "controller_runtime_active_workers"} {
		for labels, value := range series(m.tb, raw, name) {
			if labels["name"] == "businessrelay" || labels["controller"] == "businessrelay" && name != "workqueue_depth" {
				p.pending += value
			}
		}
	}
	return p
}

func (m *manager) scrape(ctx context.Context) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+m.metrics+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	return io.ReadAll(response.Body)
}

// settle waits until the manager has reconciled at least so many times, and then not for a while. It returns when the last
// was that it did.
func (m *manager) settle(atLeast int, within time.Duration) (at time.Time) {
	m.tb.Helper()
	const calm = 5 * time.Second
	last := -1.0
	every(m.tb, time.Second/2, fmt.Sprint("the manager has reconciled ", atLeast, " times and rests"), within, func(ctx context.Context) bool {
		p := m.passes(ctx)
		if p.done != last || p.pending > 0 {
			last, at = p.done, time.Now()
		}
		return p.done >= float64(atLeast) && time.Since(at) >= calm
	})
	return at
}

// cpu is how much processor time the manager took.
func (m *manager) cpu() time.Duration {
	m.tb.Helper()
	took, err := usage.Processor(m.cmd.Process.Pid)
	check(m.tb, err)
	return took
}

// memory is how many bytes only the manager has and the kernel could not read again from a file.
func (m *manager) memory() int64 {
	m.tb.Helper()
	bytes, err := usage.Private(m.cmd.Process.Pid)
	check(m.tb, err)
	return bytes
}
