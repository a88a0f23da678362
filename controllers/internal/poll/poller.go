package poll

import (
	"context"
	"math/rand/v2"
	"reflect"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"

	"github.com/relaykeep/relaykeep/api/contract"
)

const (
	// MissLimit is how many polls in a row may fail before a relay counts as
	// unreachable.
	MissLimit = 3
	// requests is how many relays are asked at a time, which bounds sockets and memory.
	requests = 256
	// grace is how long a request may take while others wait for its slot. Together with
	// requests it limits how long relays that hang delay the others: a thousand of them,
	// two seconds. A healthy relay answers within milliseconds.
	grace = 500 * time.Millisecond
	// hurry divides the interval for a relay that is not healthy, because somebody waits
	// for its recovery. One that stays unreachable is asked less and less often, down to
	// once an interval.
	hurry = 6
	// jitter is the share of an interval by which polls are spread, either way.
	jitter = 0.2
)

// Observation is what is known of a relay.
type Observation struct {
	// Status is the last answer, nil while there is none.
	Status *contract.Status
	// Misses is how many polls in a row failed since.
	Misses int
}

// Unreachable says that the relay has not answered for MissLimit polls.
func (o Observation) Unreachable() bool { return o.Misses >= MissLimit }

// Poller follows relays. Its methods are safe for concurrent use.
type Poller struct {
	source   Source
	interval time.Duration
	slots    *slots
	queue    workqueue.TypedDelayingInterface[types.NamespacedName]
	changes  chan types.NamespacedName

	mu      sync.Mutex // guards the following fields
	targets map[types.NamespacedName]*target
}

// target is a relay that is followed.
type target struct {
	host, stamp string
	seen        Observation
	// next is when the target is due; the queue may hold it for earlier, stale
	// times as well.
	next time.Time
}

// New returns a poller that asks each relay about once an interval.
func New(source Source, interval time.Duration) *Poller {
	return &Poller{
		source:   source,
		interval: interval,
		slots:    newSlots(requests, grace),
		queue:    workqueue.NewTypedDelayingQueue[types.NamespacedName](),
		changes:  make(chan types.NamespacedName),
		targets:  map[types.NamespacedName]*target{},
	}
}

// Changes delivers the name of each relay whose state changed in a way that should be
// shown. The caller must read from it while Start runs.
func (p *Poller) Changes() <-chan types.NamespacedName { return p.changes }

// Follow starts polling the relay at host. A new host or stamp makes it poll at once:
// the stamp stands for anything that may have changed the relay's state. Follow says whether it does.
func (p *Poller) Follow(key types.NamespacedName, host, stamp string) (asks bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.targets[key]
	if t == nil {
		t = &target{}
		p.targets[key] = t
	}
	if t.host == host && t.stamp == stamp {
		return false
	}
	if t.host != host {
		t.seen.Misses = 0
	}
	t.host, t.stamp, t.next = host, stamp, time.Time{}
	p.queue.Add(key)
	return true
}

// Forget stops polling a relay.
func (p *Poller) Forget(key types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.targets, key)
}

// Latest returns what is known of a relay; the zero Observation if it is not
// followed.
func (p *Poller) Latest(key types.NamespacedName) Observation {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := p.targets[key]; t != nil {
		return t.seen
	}
	return Observation{}
}

// Followed returns at which host a relay is asked, empty for none, and what is known of it.
func (p *Poller) Followed(key types.NamespacedName) (host string, seen Observation) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := p.targets[key]; t != nil {
		return t.host, t.seen
	}
	return "", Observation{}
}

// Start polls until ctx ends. It implements manager.Runnable and returns nil.
func (p *Poller) Start(ctx context.Context) error {
	var running sync.WaitGroup
	running.Go(func() {
		for p.next(ctx, &running) {
		}
	})
	<-ctx.Done()
	p.queue.ShutDown()
	running.Wait()
	return nil
}

// next begins to ask the next relay that is due; false when there will be no more.
func (p *Poller) next(ctx context.Context, running *sync.WaitGroup) bool {
	key, shutdown := p.queue.Get()
	if shutdown {
		return false
	}
	host, ok := p.due(key)
	if !ok {
		p.queue.Done(key)
		return true
	}
	request, release, ok := p.slots.take(ctx)
	if !ok {
		p.queue.Done(key)
		return false
	}
	running.Go(func() {
		defer p.queue.Done(key)
		status, err := p.source.Fetch(request, host)
		release()
		if p.record(key, host, status, err) {
			select {
			case p.changes <- key:
			case <-ctx.Done():
			}
		}
	})
	return true
}

// due returns the host to ask for key, unless the relay is no longer followed or it is
// too early.
func (p *Poller) due(key types.NamespacedName) (host string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.targets[key]
	if t == nil {
		return "", false
	}
	// The queue keeps only the earliest of a key's times: after a stale one, the
	// later one that it stood in for has to be set again.
	if wait := time.Until(t.next); wait > 0 {
		p.queue.AddAfter(key, wait)
		return "", false
	}
	return t.host, true
}

// record remembers an answer, schedules the next poll and says whether there is
// something new to show.
func (p *Poller) record(key types.NamespacedName, host string, status *contract.Status, err error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.targets[key]
	if t == nil || t.host != host {
		return false // it moved meanwhile; its new host is in the queue
	}
	before := t.seen
	if err != nil {
		t.seen.Misses++
	} else {
		t.seen = Observation{Status: status}
	}
	wait := p.pause(t.seen)
	t.next = time.Now().Add(wait)
	p.queue.AddAfter(key, wait)
	return before.Unreachable() != t.seen.Unreachable() || !sameState(before.Status, t.seen.Status)
}

// pause is how long to wait for the next poll.
func (p *Poller) pause(o Observation) time.Duration {
	wait := p.interval
	if !well(o) {
		wait = min(wait, wait/hurry<<min(max(0, o.Misses-MissLimit), hurry))
	}
	spread := 1 + jitter*(2*rand.Float64()-1)
	return time.Duration(float64(wait) * spread)
}

func well(o Observation) bool {
	if o.Misses > 0 || o.Status == nil {
		return false
	}
	for _, c := range o.Status.Conditions {
		if c.Status != contract.True {
			return false
		}
	}
	return true
}

// sameState compares all but the counters, which always move.
func sameState(a, b *contract.Status) bool {
	if a == nil || b == nil {
		return a == b
	}
	x, y := *a, *b
	x.Counts, y.Counts = contract.Counts{}, contract.Counts{}
	return reflect.DeepEqual(x, y)
}
