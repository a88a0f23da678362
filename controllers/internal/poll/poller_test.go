package poll

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/relaykeep/relaykeep/api/contract"
)

const interval = 30 * time.Second

var acme = types.NamespacedName{Namespace: "shops", Name: "acme"}

// fake is a relay whose answer the test sets, and that remembers who asked when.
type fake struct {
	mu     sync.Mutex // guards the following fields
	status *contract.Status
	hosts  []string
}

func (f *fake) Fetch(_ context.Context, host string) (*contract.Status, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hosts = append(f.hosts, host)
	if f.status == nil {
		return nil, errors.New("away")
	}
	s := *f.status
	return &s, nil
}

func (f *fake) set(s *contract.Status) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status = s
}

func (f *fake) asked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.hosts)
}

func answer(status contract.ConditionStatus, in int64) *contract.Status {
	return &contract.Status{
		Version:    contract.StatusVersion,
		Conditions: []contract.Condition{{Type: contract.ConditionKeysReady, Status: status}},
		Counts:     contract.Counts{MessagesIn: in},
	}
}

// elapse lets time go by on the bubble's clock, which takes none.
func elapse(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // the clock is the bubble's
}

// polling runs a test with a poller, in a bubble with a clock of its own.
func polling(t *testing.T, f *fake, test func(p *Poller, changes func() int)) {
	synctest.Test(t, func(t *testing.T) {
		p := New(f, interval)
		ctx, stop := context.WithCancel(t.Context())
		var mu sync.Mutex
		seen := 0
		var running sync.WaitGroup
		running.Go(func() { _ = p.Start(ctx) })
		running.Go(func() {
			for {
				select {
				case <-p.Changes():
					mu.Lock()
					seen++
					mu.Unlock()
				case <-ctx.Done():
					return
				}
			}
		})
		test(p, func() int {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			n := seen
			seen = 0
			return n
		})
		stop()
		running.Wait()
	})
}

func TestPoller_PollsAtOnceAndThenOncePerInterval(t *testing.T) {
	f := &fake{status: answer(contract.True, 1)}
	polling(t, f, func(p *Poller, changes func() int) {
		p.Follow(acme, "192.0.2.1", "a")
		if changes() != 1 || f.asked() != 1 || p.Latest(acme).Status == nil {
			t.Fatal("it was not asked at once")
		}
		for range 10 {
			p.Follow(acme, "192.0.2.1", "a")
			elapse(interval)
		}
		if n := f.asked(); n < 8 || n > 14 {
			t.Errorf("it was asked %d times in ten intervals", n)
		}
	})
}

func TestCountersThatMoveAreNoChange(t *testing.T) {
	f := &fake{status: answer(contract.True, 1)}
	polling(t, f, func(p *Poller, changes func() int) {
		p.Follow(acme, "192.0.2.1", "a")
		changes()
		f.set(answer(contract.True, 2))
		elapse(2 * interval)
		if n := changes(); n != 0 {
			t.Errorf("%d changes were told", n)
		}
		if p.Latest(acme).Status.Counts.MessagesIn != 2 {
			t.Error("the latest answer is not the latest")
		}
	})
}

func TestPoller_ThreeMissesMakeARelayUnreachable(t *testing.T) {
	f := &fake{status: answer(contract.True, 1)}
	polling(t, f, func(p *Poller, changes func() int) {
		p.Follow(acme, "192.0.2.1", "a")
		changes()
		f.set(nil)
		for before := f.asked(); f.asked() < before+2; {
			elapse(time.Second)
		}
		if changes() != 0 || p.Latest(acme).Unreachable() {
			t.Error("two misses were told")
		}
		for !p.Latest(acme).Unreachable() {
			elapse(time.Second)
		}
		if changes() != 1 || p.Latest(acme).Status == nil {
			t.Error("the third miss was not told once, or the last answer was forgotten")
		}
		f.set(answer(contract.True, 1))
		elapse(2 * interval)
		if changes() != 1 || p.Latest(acme).Unreachable() {
			t.Error("the return was not told once")
		}
	})
}

func TestPoller_PollsUnhealthyRelaysMoreOften(t *testing.T) {
	f := &fake{status: answer(contract.False, 1)}
	polling(t, f, func(p *Poller, _ func() int) {
		p.Follow(acme, "192.0.2.1", "a")
		elapse(2 * interval)
		if n := f.asked(); n < 2*hurry-3 {
			t.Errorf("it was asked %d times in two intervals", n)
		}
	})
}

func TestPoller_PollsAtOnceAfterAChangeOfStampOrHost(t *testing.T) {
	f := &fake{status: answer(contract.True, 1)}
	polling(t, f, func(p *Poller, changes func() int) {
		p.Follow(acme, "192.0.2.1", "a")
		changes()
		p.Follow(acme, "192.0.2.1", "b")
		changes()
		p.Follow(acme, "192.0.2.2", "b")
		changes()
		if n := f.asked(); n != 3 || f.hosts[2] != "192.0.2.2" {
			t.Errorf("asked %v", f.hosts)
		}
	})
}

func TestPoller_RelayPolledEarlyKeepsItsTurn(t *testing.T) {
	f := &fake{status: answer(contract.True, 1)}
	polling(t, f, func(p *Poller, _ func() int) {
		p.Follow(acme, "192.0.2.1", "a")
		elapse(interval / 3)
		p.Follow(acme, "192.0.2.1", "b")
		elapse(10 * interval)
		if n := f.asked(); n < 9 || n > 15 {
			t.Errorf("it was asked %d times in ten intervals", n)
		}
	})
}

func TestPoller_ForgottenRelayIsNotPolled(t *testing.T) {
	f := &fake{status: answer(contract.True, 1)}
	polling(t, f, func(p *Poller, changes func() int) {
		p.Follow(acme, "192.0.2.1", "a")
		changes()
		p.Forget(acme)
		elapse(3 * interval)
		if f.asked() != 1 || p.Latest(acme).Status != nil {
			t.Error("a forgotten relay was asked or remembered")
		}
	})
}

func TestPoller_PollsUnreachableRelaysLessOften(t *testing.T) {
	f := &fake{}
	polling(t, f, func(p *Poller, _ func() int) {
		p.Follow(acme, "192.0.2.1", "a")
		elapse(2 * interval)
		before := f.asked()
		elapse(10 * interval)
		if n := f.asked() - before; n < 8 || n > 14 {
			t.Errorf("it was asked %d times in ten intervals", n)
		}
	})
}
