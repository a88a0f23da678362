package footprint

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

const mebibyte = 1 << 20

func TestPace_CollectsSeldomWhileTheProcessDoesMuch(t *testing.T) {
	p := &pace{room: room}
	steps := []struct {
		what    string
		times   int
		since   time.Duration
		used    uint64
		percent int
	}{
		{"a start", row - 1, time.Millisecond, mebibyte, little},
		{"a moment later", 1, 200 * time.Millisecond, mebibyte, little},
		{"a short burst", row - 1, 50 * time.Millisecond, 20 * mebibyte, little},
		{"that goes on", 1, 50 * time.Millisecond, 20 * mebibyte, 300},
		{"with more in use", 1, 50 * time.Millisecond, 30 * mebibyte, 200},
		{"with more in use than there is room", 1, 50 * time.Millisecond, 100 * mebibyte, least},
		{"with little in use", 1, 50 * time.Millisecond, 1, most},
		{"with nothing in use", 1, 50 * time.Millisecond, 0, most},
		{"for long", 100, 3 * time.Second, 20 * mebibyte, 300},
		{"at rest", 1, 2 * time.Minute, mebibyte, little},
		{"with little to do", 100, soon, mebibyte, little},
	}
	for _, s := range steps {
		for range s.times - 1 {
			p.after(s.since, s.used)
		}
		if percent := p.after(s.since, s.used); percent != s.percent {
			t.Errorf("%s: %d percent, want %d", s.what, percent, s.percent)
		}
	}
}

func TestKeep_FollowsTheCollectionsUnlessGOGCIsSet(t *testing.T) {
	before := debug.SetGCPercent(50)
	defer debug.SetGCPercent(before)
	t.Setenv("GOGC", "50")
	Keep()
	if percent := debug.SetGCPercent(least); percent != 50 {
		t.Errorf("%d percent, want the 50 of GOGC", percent)
	}
	t.Setenv("GOGC", "")
	Keep()
	if percent := debug.SetGCPercent(little); percent != little {
		t.Errorf("%d percent at the start, want %d", percent, little)
	}
	for range 1000 { // how soon a collection is noticed is up to the runtime
		runtime.GC()
		if percent := debug.SetGCPercent(little); percent >= least {
			return
		}
	}
	t.Error("a thousand collections in a row changed nothing")
}
