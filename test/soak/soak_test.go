// Package soak_test has customers and a business write to each other through a relay while everything
// around it breaks, by a schedule that a seed repeats, and counts every message at both ends. The relay is a
// process of its own with a real Vault and a real Prosody, and real sessions with its customers.
package soak_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/test/rig"
	"github.com/relaykeep/relaykeep/test/services/faultproxy"
	"github.com/relaykeep/relaykeep/test/services/prosody"
	"github.com/relaykeep/relaykeep/test/usage"
)

var (
	total  = flag.Int("soak.n", 0, "how many messages, half of them each way; 0 does nothing")
	seed   = flag.Uint64("soak.seed", 0, "seed of the faults; 0 takes another each time")
	every  = flag.Int("soak.every", 0, "about how many messages there are to each fault; 0 chooses")
	stall  = flag.Duration("soak.patience", 3*time.Minute, "how long nothing may move before the run is given up")
	logTo  = flag.String("soak.log", "", "file that gets the relay's log, beside the progress")
	only   = flag.String("soak.only", "", "regular expression of the kinds of faults; empty means all")
	store  = flag.String("soak.store", "sqlite", "where the relay keeps its store: sqlite or postgres")
	people = flag.Int("soak.customers", 0, "how many customers; 0 chooses")
)

// writers is how many write at once each way.
const writers = 24

// The business may write to a customer 45 times at once, and then every six seconds. More customers than these
// take longer to begin than they save.
const (
	perPerson  = 40
	mostPeople = 1200
)

// noArchiveForPhones spares Prosody half of its work: customers' clients, which are always online, read no archive.
const noArchiveForPhones = `module:hook("resource-bind", function (event)
	local session = event.session;
	if session.resource == "phone" then
		prosody.hosts[session.host].sessions[session.username].archive_prefs = { [false] = false };
	end
end);`

// house is the servers.
type house struct {
	*rig.House
	prosody *prosody.Server
}

var shared *house

func TestMain(m *testing.M) {
	flag.Parse()
	if *total == 0 && !rig.IsProcess() { // no servers for nothing
		os.Exit(m.Run())
	}
	os.Exit(rig.Main(func(ctx context.Context, h *rig.House) (int, error) {
		h.Grace(time.Hour) // to count what was written
		server, err := prosody.Start(ctx, filepath.Join(h.Dir, "prosody"), prosody.Options{
			Registration: true, NoUploads: true, ArchiveInSQL: true, Modules: map[string]string{"no_archive_for_phones": noArchiveForPhones},
		})
		if err != nil {
			return 1, err
		}
		defer server.Stop()
		shared = &house{h, server}
		return m.Run(), nil
	}))
}

// run is one soak.
type run struct {
	*ledger
	t      *testing.T
	b      *business
	people []*person
	faults *breaker
	each   int // messages each way
	begun  time.Time
	stop   <-chan struct{} // closed to stop writing
	most   atomic.Int64    // bytes of memory that the relay had
	used   meter
}

func TestSoak_LosesAndDoublesNothing(t *testing.T) {
	if *total == 0 {
		t.Skip("`make soak` runs it")
	}
	if *seed == 0 {
		*seed = rand.Uint64() >> 1
	}
	each := *total / 2
	if *every == 0 {
		*every = max(200, *total/400)
	}
	if *people == 0 {
		*people = min(mostPeople, max(writers, each/perPerson)/writers*writers)
	}
	t.Logf("seed %d, %d messages each way, %d customers, about one fault in %d messages", *seed, each, *people, *every)
	r := newRun(t, each, *people)
	go r.show(t.Context())
	if err := r.converse(schedule(*seed, 2*each, *every, kindsOf(t, *only))); err != nil {
		t.Errorf("ended before everything was written: %v", err)
	}
	r.finish()
}

func newRun(t *testing.T, each, customers int) *run {
	l := newLedger(each + customers) // each customer has one more of each at the end
	r := &run{ledger: l, t: t, each: each, begun: time.Now(), stop: shared.Interrupted()}
	proxy := faultproxy.StartT(t, shared.prosody)
	r.b = &business{Business: shared.NewBusiness(t, proxy), ledger: l, seed: *seed}
	receiver := startReceiver(t, l)
	receiver.known = r.b.Known
	r.b.Config.Webhook, r.b.Config.Throughput = receiver.hook(), 1000
	v := mountVolume(t, r.b.Volume(), 64<<20+int64(each)*16<<10)
	var d *database
	if *store == "postgres" {
		d = startDatabase(t, r.b.Business)
	}
	r.b.Limit(contract.LimitsExempt) // thousands of strangers in minutes, as an admin would allow
	r.b.StartProcess()
	t.Cleanup(func() { r.b.Stop() }) // before the volume is unmounted
	r.b.WaitWell()
	r.b.TakeCredentials()
	transport, _ := r.b.Client.Transport.(*http.Transport)
	transport = transport.Clone()
	transport.MaxIdleConnsPerHost = writers
	t.Cleanup(transport.CloseIdleConnections)
	r.b.client = &http.Client{Transport: transport}
	r.people = startPeople(t, l, customers)
	r.faults = &breaker{business: r.b, t: t, receiver: receiver, proxy: proxy, volume: v, database: d}
	return r
}

// converse has both sides write everything, or until the run is interrupted, while the faults happen. It returns why
// they could not.
func (r *run) converse(faults []fault) error {
	ctx, cancel := context.WithCancelCause(r.t.Context())
	defer cancel(nil)
	stop, end := context.WithCancel(ctx)
	defer end()
	go func() {
		select {
		case <-r.stop:
			end()
		case <-stop.Done():
		}
	}()
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.write(ctx, stop.Done(), cancel, 0, r.each)
	}()
	go r.watch(ctx, cancel)
	for _, f := range faults {
		if !r.await(stop.Done(), func() bool { return r.in.arrived+r.out.arrived >= f.at }) {
			break
		}
		r.faults.do(f)
	}
	<-done
	if err := r.faults.end(); err != nil {
		r.t.Error(err)
	}
	return context.Cause(ctx)
}

// watch gives up when nothing moves any more, and has the relay say in its log where it is.
func (r *run) watch(ctx context.Context, give context.CancelCauseFunc) {
	tick := time.NewTicker(*stall)
	defer tick.Stop()
	for before := -1; ; {
		r.mu.Lock()
		now := r.in.taken + r.in.arrived + r.out.taken + r.out.arrived
		r.mu.Unlock()
		if now == before {
			_ = syscall.Kill(r.b.PID(), syscall.SIGQUIT)
			<-time.After(time.Second)
			give(fmt.Errorf("nothing moved for %s", *stall))
			return
		}
		before = now
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// write has both sides write the messages from one number to another. The first error ends it, and so does stop, but
// what was begun is written.
func (r *run) write(ctx context.Context, stop <-chan struct{}, cancel context.CancelCauseFunc, from, to int) {
	var group sync.WaitGroup
	phone := r.b.Phone()
	for w := range writers {
		group.Go(func() { // each writer has customers of its own, who write one after another
			for n := from + (w-from%writers+writers)%writers; n < to && r.in.room(stop); n += writers {
				if err := r.people[n%len(r.people)].write(ctx, phone, r.ledger, n); err != nil {
					cancel(err)
					return
				}
			}
		})
		group.Go(func() {
			for n := from + w; n < to && r.out.room(stop); n += writers {
				if err := r.b.write(ctx, r.people[n%len(r.people)].number, n); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	group.Wait()
}

// finish waits until everything arrived, has every customer talk once more both ways, and counts.
func (r *run) finish() {
	r.settle()
	ctx, cancel := context.WithCancelCause(r.t.Context())
	defer cancel(nil)
	go r.watch(ctx, cancel)
	r.write(ctx, ctx.Done(), cancel, r.each, r.each+len(r.people))
	if err := context.Cause(ctx); err != nil {
		r.t.Error(err)
	}
	dead := r.settle()
	r.t.Log(r.line())
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.each + len(r.people)
	inLost, in := r.in.lack(r.each, taken|arrived)
	outLost, out := r.out.lack(r.each, taken|arrived)
	untold, silent := r.out.lack(all, sent|delivered)
	select {
	case <-r.stop:
		r.t.Log("INTERRUPTED: what follows counts the messages that were written until then")
	default:
	}
	r.t.Logf("RESULT: seed %d: %d messages in and %d out: %d lost, %d doubled, %d dead sessions; %d statuses missing; %d webhooks came again with the same id; %d requests were made again (%v); the relay had at most %d MB; faults: %s; %s; %s",
		*seed, r.in.begun-len(r.people), r.out.begun-len(r.people), in+out, r.in.doubled+r.out.doubled, dead, silent, r.in.again, sum(r.retried), r.retried, r.most.Load()>>20, r.faults, time.Since(r.begun).Round(time.Second), r.used.each(r.in.arrived+r.out.arrived))
	if in+out > 0 {
		r.t.Errorf("lost: %d of customers' (%v), %d of the business's (%v)", in, inLost, out, outLost)
	}
	if silent > 0 {
		r.t.Errorf("%d messages were not told to be sent and delivered: %v", silent, untold)
	}
	if r.in.doubled+r.out.doubled > 0 {
		r.t.Errorf("doubled: %d of customers', %d of the business's", r.in.doubled, r.out.doubled)
	}
	if dead > 0 {
		r.t.Errorf("%d of %d customers cannot talk both ways", dead, len(r.people))
	}
	for what, n := range r.strange {
		r.t.Errorf("%d times: %s", n, what)
	}
}

// settle waits until what was written has arrived, or nothing moves any more, and returns how many
// customers lack one of the last ones.
func (r *run) settle() (dead int) {
	for all := false; !all; {
		r.mu.Lock()
		before := r.in.arrived + r.out.arrived + r.out.sent + r.out.delivered
		r.mu.Unlock()
		late := make(chan struct{})
		timer := time.AfterFunc(*stall, func() { close(late) })
		moved := r.await(late, func() bool {
			all = r.in.arrived >= r.in.begun && r.out.arrived >= r.out.begun && r.out.sent >= r.out.begun && r.out.delivered >= r.out.begun
			return all || r.in.arrived+r.out.arrived+r.out.sent+r.out.delivered > before
		})
		timer.Stop()
		if !moved {
			break
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.people {
		if r.in.state[r.each+i]&arrived == 0 || r.out.state[r.each+i]&arrived == 0 {
			dead++
		}
	}
	return dead
}

func sum(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// show prints a line about the progress every ten seconds.
func (r *run) show(ctx context.Context) {
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			fmt.Println(r.line())
			if *logTo != "" {
				_ = os.WriteFile(*logTo, r.b.Log.Bytes(), 0o600)
			}
		case <-ctx.Done():
			return
		}
	}
}

// line says how far it has come.
func (r *run) line() string {
	memory := residentMemory(r.b.PID())
	r.most.Store(max(r.most.Load(), memory))
	r.used.look("relay", r.b.PID())
	r.used.look("Prosody", shared.prosody.PID())
	r.used.look("harness", os.Getpid())
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.in.arrived + r.out.arrived
	took := time.Since(r.begun)
	rate := float64(n) / took.Seconds()
	left := time.Duration(float64(2*r.each-n) / max(rate, 0.1) * float64(time.Second))
	return fmt.Sprintf("%s: in %d taken %d told; out %d accepted %d shown %d sent %d delivered; %d doubled, %d again, %d retried; %.0f/s, about %s left; relay %d MB, harness %d MB; %s; strange: %v",
		took.Round(time.Second), r.in.taken, r.in.arrived, r.out.taken, r.out.arrived, r.out.sent, r.out.delivered, r.in.doubled+r.out.doubled, r.in.again, sum(r.retried),
		rate, max(left, 0).Round(time.Second), memory>>20, residentMemory(os.Getpid())>>20, r.faults, r.strange)
}

// residentMemory returns how many bytes of memory a process has; 0 when it has ended.
func residentMemory(pid int) int64 {
	bytes, err := usage.Resident(pid)
	if err != nil {
		return 0
	}
	return bytes
}
