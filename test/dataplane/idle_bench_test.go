package dataplane_test

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/test/usage"
)

// idleFor is how long a relay has had nothing to do when its memory is measured: Go's runtime collects garbage at the
// latest every two minutes, and gives pages back for a while after.
const idleFor = 150 * time.Second

// BenchmarkIdle is a relay alone, as a program of its own: how long it takes from its start until the endpoint accepts
// calls, the first time, when it makes its keys and its account at the carrier, and again; and the memory
// that it has for itself when it has had nothing to do for a while, without what it shares as pages of a file.
func BenchmarkIdle(b *testing.B) {
	program := filepath.Join(b.TempDir(), "relay")
	out, err := exec.CommandContext(b.Context(), "go", "build", "-ldflags", "-s -w", "-o", program, "../rig/relay").CombinedOutput()
	if err != nil {
		b.Fatalf("building the relay: %v\n%s", err, out)
	}
	r := shared.NewBusiness(b, shared.prosody)
	r.Program = program
	start := func() (took time.Duration) {
		begun := time.Now()
		r.StartProcess()
		r.WaitReady()
		return time.Since(begun)
	}
	b.ReportMetric(float64(start().Nanoseconds()), "first-start-ns/op")
	r.WaitWell()
	r.Stop()
	b.ReportMetric(float64(start().Nanoseconds()), "start-ns/op")
	r.WaitWell()
	<-time.After(idleFor)
	memory, err := usage.Private(r.PID())
	check(b, err)
	b.ReportMetric(float64(memory), "B/relay")
}
