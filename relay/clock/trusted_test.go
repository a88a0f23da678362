package clock

import (
	"testing"
	"time"
)

// node is a machine whose clock can be set, and whose monotonic clock cannot.
type node struct {
	time    time.Time
	elapsed time.Duration
}

func (n *node) pass(d time.Duration) { n.time, n.elapsed = n.time.Add(d), n.elapsed+d }

func newNode() (*node, *Trusted) {
	n := &node{time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	return n, &Trusted{node: func() time.Time { return n.time }, elapsed: func() time.Duration { return n.elapsed }}
}

func TestTrusted_IsTheNodesClockWhileThatAgrees(t *testing.T) {
	n, c := newNode()
	if !c.Now().Equal(n.time) || c.Skewed() {
		t.Error("before Vault answered it is not the node's clock")
	}
	if _, known := c.Vault(); known {
		t.Error("Vault's time is known before Vault answered")
	}
	c.Set(n.time.Add(-4 * time.Minute))
	n.pass(time.Hour)
	if !c.Now().Equal(n.time) || c.Skewed() {
		t.Errorf("it is %s on the node, and %s here", n.time, c.Now())
	}
}

func TestTrusted_JumpsOfTheNodesClockDoNotMoveIt(t *testing.T) {
	for _, jump := range []time.Duration{30 * 24 * time.Hour, -30 * 24 * time.Hour, MaxSkew + time.Second} {
		n, c := newNode()
		right := n.time
		c.Set(right)
		n.time = n.time.Add(jump)
		n.pass(time.Hour)
		if want := right.Add(time.Hour); !c.Now().Equal(want) || !c.Skewed() {
			t.Errorf("after a jump by %s it is %s, want %s; skewed: %t", jump, c.Now(), want, c.Skewed())
		}
		n.time = n.time.Add(-jump)
		if !c.Now().Equal(n.time) || c.Skewed() {
			t.Errorf("after the clock was set right it is %s, want %s", c.Now(), n.time)
		}
	}
}

func TestTrusted_FollowsVault(t *testing.T) {
	n, c := newNode()
	c.Set(n.time)
	n.pass(time.Minute)
	c.Set(n.time.Add(time.Hour))
	n.pass(time.Minute)
	if want := n.time.Add(time.Hour); !c.Now().Equal(want) {
		t.Errorf("it is %s, want %s", c.Now(), want)
	}
}
