package rollout_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/relaykeep/relaykeep/controllers/internal/rollout"
)

// clerk asks for turns in one region.
type clerk struct {
	t     *testing.T
	turns rollout.Turns
	now   time.Time
	begun []rollout.Underway
}

func newClerk(t *testing.T) *clerk {
	return &clerk{t: t, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
}

func relay(i int) types.NamespacedName {
	return types.NamespacedName{Namespace: "shop", Name: fmt.Sprintf("relay-%04d", i)}
}

// take asks for a turn of relay i, at most two at a time.
func (c *clerk) take(i int) *rollout.Wait {
	c.t.Helper()
	_, wait, err := c.turns.Take("eu", relay(i), 2, c.now, func() ([]rollout.Underway, error) { return c.begun, nil })
	if err != nil {
		c.t.Fatal(err)
	}
	if wait != nil && wait.After <= 0 {
		c.t.Errorf("relay %d is to ask again after %s", i, wait.After)
	}
	return wait
}

func (c *clerk) want(i int, granted bool) {
	c.t.Helper()
	if wait := c.take(i); (wait == nil) != granted {
		c.t.Errorf("relay %d has its turn: %t, want %t", i, wait == nil, granted)
	}
}

func TestTurns_AreAFewAtATimeInOrder(t *testing.T) {
	c := newClerk(t)
	c.want(1, true)
	c.want(2, true)
	c.want(3, false)
	c.now = c.now.Add(time.Second)
	c.want(4, false)
	c.want(1, true) // asks again, and still has it
	c.turns.Done(relay(1))
	c.want(4, false) // 3 waits longer
	c.want(3, true)
	c.want(4, false)
	c.turns.Done(relay(2))
	c.want(4, true)
}

func TestTurns_OneThatDoesNotComeUpPausesTheOthers(t *testing.T) {
	c := newClerk(t)
	c.want(1, true)
	c.now = c.now.Add(rollout.Patience)
	if wait := c.take(2); wait == nil || !wait.Paused {
		t.Errorf("behind a relay that does not come up another gets %v", wait)
	}
	c.turns.Done(relay(1))
	c.want(2, true)
}

func TestTurns_RegionsDoNotWaitForEachOther(t *testing.T) {
	c := newClerk(t)
	c.want(1, true)
	c.want(2, true)
	none := func() ([]rollout.Underway, error) { return nil, nil }
	if _, wait, err := c.turns.Take("na", relay(3), 2, c.now, none); wait != nil || err != nil {
		t.Errorf("in another region: %v, %v", wait, err)
	}
}

func TestTurns_OfAnEarlierOperatorCount(t *testing.T) {
	c := newClerk(t)
	c.begun = []rollout.Underway{{Relay: relay(8), Since: c.now.Add(-time.Minute)}, {Relay: relay(9), Since: c.now}}
	c.want(1, false)
	c.want(8, true)
	c.turns.Done(relay(9))
	c.want(1, true)
	var fresh rollout.Turns
	unread := errors.New("not read")
	if _, _, err := fresh.Take("eu", relay(1), 2, c.now, func() ([]rollout.Underway, error) { return nil, unread }); !errors.Is(err, unread) {
		t.Errorf("without knowing what has begun the error is %v", err)
	}
}

func TestTurns_WhoStopsAskingStopsNobody(t *testing.T) {
	c := newClerk(t)
	c.want(1, true)
	c.want(2, true)
	for i := 3; i < 8; i++ {
		c.want(i, false)
	}
	c.turns.Done(relay(1))
	c.turns.Done(relay(2))
	c.now = c.now.Add(2 * rollout.Patience)
	c.want(9, true)
}

// TestTurns_ManyGetThroughWithFewQuestions has a thousand relays updated, each asking when it was told to.
func TestTurns_ManyGetThroughWithFewQuestions(t *testing.T) {
	const relays, updateTakes = 1000, 4 * time.Second
	c := newClerk(t)
	type plan struct{ ask, done time.Time }
	plans := make([]plan, relays)
	for i := range plans {
		plans[i].ask = c.now
	}
	questions, left, most := 0, relays, 0
	for left > 0 && questions < 100*relays {
		for i := range plans {
			p := &plans[i]
			switch {
			case !p.done.IsZero() && !c.now.Before(p.done):
				c.turns.Done(relay(i))
				*p = plan{}
				left--
			case !p.ask.IsZero() && !c.now.Before(p.ask):
				questions++
				if wait := c.take(i); wait != nil {
					p.ask = c.now.Add(wait.After)
				} else {
					*p = plan{done: c.now.Add(updateTakes)}
				}
			}
		}
		updating := 0
		for i := range plans {
			if !plans[i].done.IsZero() {
				updating++
			}
		}
		most = max(most, updating)
		c.now = c.now.Add(time.Second)
	}
	if left > 0 || most > 2 || questions > 40*relays {
		t.Errorf("%d relays are left, %d were updated at a time, and %d questions were asked", left, most, questions)
	}
}
