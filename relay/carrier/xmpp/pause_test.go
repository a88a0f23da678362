package xmpp

import (
	"testing"
	"time"
)

func TestPauses_GrowUntilALinkLasts(t *testing.T) {
	const shortest, longest = 100 * time.Millisecond, time.Second
	p := newPauses(shortest, longest)
	p.Reset()
	within := func(what string, low, high time.Duration) {
		t.Helper()
		if got := p.NextBackOff(); got < low || got > high {
			t.Errorf("%s: %v, want %v to %v", what, got, low, high)
		}
	}
	p.note(false, 0)
	within("the first", shortest/2, shortest*3/2)
	for range 20 {
		p.NextBackOff()
	}
	within("the bound", longest/2, longest*3/2)
	p.note(true, 0)
	for range 20 {
		within("after a refusal", longest*3/4, longest*5/4)
	}
	p.note(false, steady+time.Second)
	within("after a link that lasted", shortest/2, shortest*3/2)
}
