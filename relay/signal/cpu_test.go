package signal

import (
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// cpuClock reports a benchmark's processor time as "cpu-ns/op", beside the time on the
// wall: on a machine that others work on too, a ratio of the latter says more about
// them. What garbage collection takes beside is in it.
type cpuClock struct {
	b      *testing.B
	begun  time.Duration
	paused time.Duration
}

// warmBytes is the heap that every benchmark starts with, in bytes: more than Go lets
// one grow to between two collections, at the garbage target that test/bench sets.
const warmBytes = 32 << 20

// warm has the kernel give the process its memory before anything is measured.
// Otherwise the first benchmark pays for it, page by page: three times what it takes
// itself on a virtual machine.
func warm() {
	heap := make([]byte, warmBytes)
	for i := 0; i < len(heap); i += os.Getpagesize() {
		heap[i] = 1
	}
	runtime.KeepAlive(heap)
}

// start begins to measure, just before the loop; what it returns ends it.
func (c *cpuClock) start() (report func()) {
	warm()
	runtime.GC()
	c.b.ResetTimer()
	c.begun, c.paused = cpuTime(), 0
	return func() {
		c.b.ReportMetric(float64(cpuTime()-c.begun-c.paused)/float64(c.b.N), "cpu-ns/op")
	}
}

// pause runs f with all clocks stopped.
func (c *cpuClock) pause(f func()) {
	begun := cpuTime() // first and last: stopping the benchmark's own clock takes time
	c.b.StopTimer()
	f()
	c.b.StartTimer()
	c.paused += cpuTime() - begun
}

// cpuTime is the processor time that this process took so far.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
