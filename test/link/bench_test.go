package link_test

import (
	"context"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/test/await"
	"github.com/relaykeep/relaykeep/test/services/prosody"
	"github.com/relaykeep/relaykeep/test/usage"
)

// crowdSize is how many customers there are, and underWay how many messages to and from
// each may be in flight. A relay waits for the server's acknowledgement before the next
// message to the same customer: with fewer customers a server at its limit would have to
// wait.
const (
	crowdSize = 128
	underWay  = 2
)

// defaultRate is how many messages a relay takes from its business in a second, unless
// it is told otherwise (spec.throughput).
const defaultRate = 80

// bench is what the benchmarks of this package share, since it takes long to start:
// a Prosody without rate limits, a relay in this process, and customers in another.
type bench struct {
	once   sync.Once
	server *prosody.Server
	relay  *relay
	crowd  *crowd
	ends   []func() // what is done when the process ends, the last first
}

var shared bench

func TestMain(m *testing.M) {
	if os.Getenv(crowdVariable) != "" {
		os.Exit(beCrowd())
	}
	code := m.Run()
	for _, end := range slices.Backward(shared.ends) {
		end()
	}
	os.Exit(code)
}

// benchNumber is the relay's number, which the customers know.
const benchNumber = "+15550190000"

// start starts everything, until the last benchmark ends.
func (r *bench) start(b *testing.B) {
	r.once.Do(func() {
		t := &process{TB: b, bench: r}
		r.server = prosody.StartT(t, prosody.Options{Registration: true, ArchiveLimit: 1_000_000})
		r.relay = startRelay(t, r.server, benchNumber, 1001)
		r.crowd = startCrowd(t, r.server)
		l := &latencies{} // sessions begin before anything is measured
		outward(b, l, crowdSize, rate.Inf)
		inward(b, l, crowdSize, rate.Inf)
	})
}

// process is a testing.TB whose end is that of the process: the first benchmark's end
// is not that of what the others use after it.
type process struct {
	testing.TB
	bench *bench
}

func (p *process) Cleanup(f func()) { p.bench.ends = append(p.bench.ends, f) }

func (p *process) Context() context.Context { return context.Background() }

func (p *process) TempDir() string {
	dir, err := os.MkdirTemp("", "bench-")
	check(p.TB, err)
	p.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// taken is what relay and server took of the processors.
type taken struct{ relay, server time.Duration }

func (r *bench) taken(b *testing.B) taken {
	b.Helper()
	var self syscall.Rusage
	check(b, syscall.Getrusage(syscall.RUSAGE_SELF, &self))
	server, err := usage.Processor(r.server.PID())
	check(b, err)
	return taken{
		relay:  time.Duration(self.Utime.Nano() + self.Stime.Nano()),
		server: server,
	}
}

// BenchmarkThroughProsody is messages of a relay to its customers and back, half of
// them each way, each receipted: from the business's request to the customer's receipt
// for it, and from the customer's client to the business's webhook. Beside it, bare
// clients write ready-made stanzas of the same size, answered in the same way, without
// and with stream management: what the server can do. How long a message takes says
// something where nobody waits in line: at the rate that relays are limited to.
func BenchmarkThroughProsody(b *testing.B) {
	b.Run("impl=relay", func(b *testing.B) {
		shared.start(b)
		runtime.GC()
		before := shared.taken(b)
		b.ResetTimer()
		l := bothWays(b, b.N, rate.Inf)
		b.StopTimer()
		after := shared.taken(b)
		n := float64(b.N)
		b.ReportMetric(n/b.Elapsed().Seconds(), "messages/s")
		b.ReportMetric(float64(l.p99()), "p99-ns/op")
		b.ReportMetric(float64((after.relay-before.relay).Nanoseconds())/n, "relay-cpu-ns/op")
		b.ReportMetric(float64((after.server-before.server).Nanoseconds())/n, "server-cpu-ns/op")
	})
	b.Run("impl=limited", func(b *testing.B) {
		shared.start(b)
		n := min(b.N, 20*defaultRate) // ten seconds
		l := bothWays(b, n, defaultRate)
		b.StopTimer()
		b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "messages/s")
		b.ReportMetric(float64(l.p99()), "p99-ns/op")
	})
	b.Run("impl=bare", func(b *testing.B) {
		shared.start(b)
		blast(b, false)
	})
	b.Run("impl=counting", func(b *testing.B) {
		shared.start(b)
		blast(b, true)
	})
}

// bothWays has business and customers write n texts together, each side at most limit
// a second, and returns how long they took.
func bothWays(b *testing.B, n int, limit rate.Limit) *latencies {
	l := &latencies{}
	var group sync.WaitGroup
	group.Go(func() { outward(b, l, (n+1)/2, limit) })
	group.Go(func() { inward(b, l, n/2, limit) })
	group.Wait()
	return l
}

// latencies gathers how long messages took.
type latencies struct {
	mu sync.Mutex
	of []time.Duration
}

func (l *latencies) add(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.of = append(l.of, d)
}

func (l *latencies) p99() time.Duration {
	if len(l.of) == 0 {
		return 0
	}
	slices.Sort(l.of)
	return l.of[len(l.of)*99/100]
}

// stopwatch takes the times of messages from two ends, whichever comes first: a
// receipt may overtake the answer to the request.
type stopwatch struct {
	mu    sync.Mutex
	times map[string]time.Duration
}

// note takes when a message ended or, negative, when it began.
func (s *stopwatch) note(l *latencies, id string, at time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.times == nil {
		s.times = map[string]time.Duration{}
	}
	other, second := s.times[id]
	if !second {
		s.times[id] = at
		return
	}
	delete(s.times, id)
	l.add(at + other)
}

// outward has the business write n texts, at most limit a second, to all customers at
// once and to each one after the other, underWay of them for each customer.
func outward(b *testing.B, l *latencies, n int, limit rate.Limit) {
	pace := rate.NewLimiter(limit, 1)
	slots := make(chan struct{}, underWay*crowdSize)
	var clocks stopwatch
	started := time.Now()
	var delivered, written sync.WaitGroup
	delivered.Add(n)
	shared.relay.listen(func(kind, id string) {
		if kind != "delivered" {
			return
		}
		clocks.note(l, id, time.Since(started))
		<-slots
		delivered.Done()
	})
	write := func(to phone.Number) error {
		if err := pace.Wait(b.Context()); err != nil {
			return err
		}
		slots <- struct{}{}
		at := time.Since(started)
		id, err := shared.relay.AcceptText(b.Context(), message.Text{To: to, Body: "a text of about the length that people write, or somewhat more"})
		if err == nil {
			clocks.note(l, id, -at)
		}
		return err
	}
	for c := range crowdSize {
		to, err := phone.Parse(crowdNumber(c))
		check(b, err)
		written.Go(func() {
			for range share(n, c) {
				if err := write(to); err != nil {
					b.Errorf("writing to customer %d: %v", c, err)
					return
				}
			}
		})
	}
	written.Wait()
	if !b.Failed() {
		delivered.Wait()
	}
}

// share is how many of n things are for one of all customers.
func share(n, customer int) int {
	return (n + crowdSize - 1 - customer) / crowdSize
}

// inward has the customers write n texts, at most limit a second, and waits until the business has them.
func inward(b *testing.B, l *latencies, n int, limit rate.Limit) {
	if n == 0 {
		return
	}
	var got atomic.Int64
	done := make(chan struct{})
	shared.relay.listenTexts(func(text string) {
		if at, err := strconv.ParseInt(strings.Fields(text)[0], 10, 64); err == nil {
			l.add(time.Since(time.Unix(0, at)))
		}
		if got.Add(1) == int64(n) {
			close(done)
		}
	})
	shared.crowd.write(b, n, limit)
	select {
	case <-done:
	case <-time.After(await.Patience):
		b.Errorf("%d of the customers' %d messages arrived", got.Load(), n)
	}
}
