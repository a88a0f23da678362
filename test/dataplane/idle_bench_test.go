package dataplane_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
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
	b.ReportMetric(float64(private(b, r.PID())), "B/relay")
}

// private returns how many bytes of memory only a process has and the kernel could not read again from a file.
func private(b *testing.B, pid int) int64 {
	b.Helper()
	raw, err := os.ReadFile(fmt.Sprint("/proc/", pid, "/smaps_rollup"))
	check(b, err)
	_, rest, found := strings.Cut(string(raw), "Private_Dirty:")
	if !found {
		b.Fatal("the kernel does not tell a process's own memory")
	}
	kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	check(b, err)
	return kib << 10
}
