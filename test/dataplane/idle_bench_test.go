package dataplane_test

import (
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/test/usage"
)

// idleFor is how long a relay has had nothing to do when its memory is measured: Go's runtime collects garbage at the
// latest every two minutes, and gives pages back for a while after.
const idleFor = 150 * time.Second

// idleRelays is how many relays are measured: what a start leaves in memory differs by some percent.
const idleRelays = 5

// BenchmarkIdle is a relay alone, as a program of its own: how long it takes from its start until the endpoint accepts
// calls, the first time, when it makes its keys and its account at the carrier, and again; and the memory
// that it has for itself when it has had nothing to do for a while, without what it shares as pages of a file. Each is
// the median of several relays.
func BenchmarkIdle(b *testing.B) {
	program := filepath.Join(b.TempDir(), "relay")
	out, err := exec.CommandContext(b.Context(), "go", "build", "-ldflags", "-s -w", "-o", program, "../rig/relay").CombinedOutput()
	if err != nil {
		b.Fatalf("building the relay: %v\n%s", err, out)
	}
	var first, again, memory []float64
	var pids []int
	for range idleRelays {
		r := shared.NewBusiness(b, shared.prosody)
		r.Program = program
		start := func() (took float64) {
			begun := time.Now()
			r.StartProcess()
			r.WaitReady()
			took = float64(time.Since(begun).Nanoseconds())
			r.WaitWell()
			return took
		}
		first = append(first, start())
		r.Stop()
		again = append(again, start())
		pids = append(pids, r.PID())
	}
	<-time.After(idleFor)
	for _, pid := range pids {
		bytes, err := usage.Private(pid)
		check(b, err)
		memory = append(memory, float64(bytes))
	}
	b.ReportMetric(median(first), "first-start-ns/op")
	b.ReportMetric(median(again), "start-ns/op")
	b.ReportMetric(median(memory), "B/relay")
}

// median is the middle one of an odd number of values.
func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
