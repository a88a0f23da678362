package poll

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/relaykeep/relaykeep/api/contract"
)

// crowd answers for one healthy relay after a moment; all others hang, each second
// time or always.
type crowd struct {
	sometimes bool

	mu       sync.Mutex // guards the following fields
	healthy  []time.Time
	asked    map[string]int
	now, max int // requests under way
}

const healthyHost = "192.0.2.1"

func (c *crowd) Fetch(ctx context.Context, host string) (*contract.Status, error) {
	c.mu.Lock()
	c.asked[host]++
	c.now++
	c.max = max(c.max, c.now)
	hangs := host != healthyHost && (!c.sometimes || c.asked[host]%2 == 0)
	if host == healthyHost {
		c.healthy = append(c.healthy, time.Now())
	}
	c.mu.Unlock()
	defer func() { c.mu.Lock(); c.now--; c.mu.Unlock() }()
	takes := 200 * time.Millisecond
	if hangs {
		takes = fetchTimeout
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(takes):
	}
	if hangs {
		return nil, context.DeadlineExceeded
	}
	return answer(contract.True, 1), nil
}

// gap is the longest time between two questions to the healthy relay.
func (c *crowd) gap() (longest time.Duration, questions int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := 1; i < len(c.healthy); i++ {
		longest = max(longest, c.healthy[i].Sub(c.healthy[i-1]))
	}
	return longest, len(c.healthy)
}

func TestRelaysThatHangDelayNoOther(t *testing.T) {
	for _, sometimes := range []bool{false, true} {
		t.Run(fmt.Sprintf("only each second time: %t", sometimes), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &crowd{sometimes: sometimes, asked: map[string]int{}}
				p := New(c, interval)
				ctx, stop := context.WithCancel(t.Context())
				var running sync.WaitGroup
				running.Go(func() { _ = p.Start(ctx) })
				running.Go(func() {
					for {
						select {
						case <-p.Changes():
						case <-ctx.Done():
							return
						}
					}
				})
				const hanging = 1000
				for i := range hanging {
					p.Follow(types.NamespacedName{Namespace: "hangs", Name: fmt.Sprint(i)}, fmt.Sprintf("hangs-%d", i), "a")
				}
				began := time.Now()
				p.Follow(acme, healthyHost, "a")
				for range 20 {
					elapse(interval)
					if p.Latest(acme).Misses > 0 {
						t.Error("an answer was cut off")
					}
				}
				gap, questions := c.gap()
				if questions < 15 || gap > interval+interval/4 || c.healthy[0].Sub(began) > 3*time.Second {
					t.Errorf("the healthy relay was asked %d times, first after %s, with a gap of %s", questions, c.healthy[0].Sub(began), gap)
				}
				if c.max > 2*requests {
					t.Errorf("%d requests were under way at a time", c.max)
				}
				for i := range hanging {
					if c.asked[fmt.Sprintf("hangs-%d", i)] < 10 {
						t.Fatalf("a relay that hangs was asked %d times", c.asked[fmt.Sprintf("hangs-%d", i)])
					}
				}
				stop()
				running.Wait()
			})
		})
	}
}

func TestPoller_HearsManyAnswersAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{sometimes: true, asked: map[string]int{}}
		p := New(c, interval)
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = p.Start(ctx) })
		const many = 2000
		told := 0
		for i := range many {
			p.Follow(types.NamespacedName{Namespace: "answers", Name: fmt.Sprint(i)}, fmt.Sprintf("answers-%d", i), "a")
		}
		began := time.Now()
		for ; told < many && time.Since(began) < interval/2; told++ {
			select {
			case key := <-p.Changes():
				if o := p.Latest(key); o.Misses > 0 || o.Status == nil {
					t.Fatal("an answer was cut off for others")
				}
			case <-time.After(interval):
			}
		}
		if told != many {
			t.Errorf("%d of %d were heard", told, many)
		}
		stop()
		running.Wait()
	})
}
