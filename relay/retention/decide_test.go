package retention

import (
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/vault"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// aged makes a key whose versions, numbered from first, were created so many hours
// before epoch.
func aged(first int, hours ...int) vault.KeyState {
	s := vault.KeyState{MinDecryption: first, MinAvailable: first, AutoRotate: 24 * time.Hour}
	if first == 1 {
		s.MinAvailable = 0
	}
	for i, h := range hours {
		s.Versions = append(s.Versions, vault.KeyVersion{Version: first + i, Created: epoch.Add(-time.Duration(h) * time.Hour)})
	}
	return s
}

func interruptedAt(available int, s vault.KeyState) vault.KeyState {
	s.MinAvailable = available
	return s
}

func TestDecide(t *testing.T) {
	const day = 24
	for name, c := range map[string]struct {
		state     vault.KeyState
		retention time.Duration
		want      plan
	}{
		"a new key stays": {
			aged(1, 0), 30 * day * time.Hour, plan{keep: 1},
		},
		"versions within the retention stay": {
			aged(1, 20*day, 10*day, 0), 30 * day * time.Hour, plan{keep: 1},
		},
		"a version that is due goes": {
			aged(1, 31*day, 10*day, 0), 30 * day * time.Hour, plan{keep: 2},
		},
		"a version that is due exactly at the next run goes": {
			aged(1, 30*day-1, 10*day, 0), 30 * day * time.Hour, plan{keep: 2},
		},
		"a version that is due a moment after the next run stays": {
			aged(1, 30*day-2, 10*day, 0), 30 * day * time.Hour, plan{keep: 1},
		},
		"many that are due go at once": {
			aged(4, 50*day, 49*day, 48*day, 47*day, 3*day), 30 * day * time.Hour, plan{keep: 8},
		},
		"a latest version that is due is rotated first": {
			aged(7, 45*day), 30 * day * time.Hour, plan{rotate: true},
		},
		"all due after an outage": {
			aged(2, 50*day, 40*day), 30 * day * time.Hour, plan{rotate: true},
		},
		"a shorter retention takes effect at once": {
			aged(1, 6*day, 5*day, 0), 5 * day * time.Hour, plan{keep: 3},
		},
		"an interrupted run is finished": {
			interruptedAt(2, aged(5, 10*day, 0)), 30 * day * time.Hour, plan{finishTrim: 5, keep: 5},
		},
		"an interrupted first run is finished": {
			interruptedAt(0, aged(3, 10*day, 0)), 30 * day * time.Hour, plan{finishTrim: 3, keep: 3},
		},
		"an interrupted run is finished and more has become due": {
			interruptedAt(2, aged(5, 31*day, 0)), 30 * day * time.Hour, plan{finishTrim: 5, keep: 6},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := decide(c.state, c.retention, epoch.Add(Interval)); got != c.want {
				t.Errorf("decided %+v, want %+v", got, c.want)
			}
		})
	}
}

// Whatever the versions' ages, none stays that is due, none that is not due goes.
func TestDecideIsExactForEveryAge(t *testing.T) {
	const retention = 10 * time.Hour
	for oldest := range 20 {
		state := aged(1, oldest+2, oldest+1, oldest)
		p := decide(state, retention, epoch.Add(Interval))
		for _, v := range state.Versions {
			due := !v.Created.Add(retention).After(epoch.Add(Interval))
			stays := !p.rotate && v.Version >= p.keep
			if due == stays {
				t.Errorf("oldest %d h: version %d is due: %v, stays: %v", oldest, v.Version, due, stays)
			}
		}
	}
}
