package conduct

import (
	"encoding/json"
	"errors"
	"slices"
	"time"
)

const (
	hoursOfDay  = 24
	hoursOfWeek = 7 * hoursOfDay
	// MaxState is the longest state that Open reads, in bytes.
	MaxState = 64 << 10

	stateVersion = 1
)

// errState means that a kept state is not one.
var errState = errors.New("what was kept of the business's conduct cannot be read")

// tally are the counts of an hour, or of several.
type tally struct {
	First       int64 `json:"first,omitempty"`       // strangers written to
	Reached     int64 `json:"reached,omitempty"`     // people written to, of each hour
	Delivered   int64 `json:"delivered,omitempty"`   // messages
	Undelivered int64 `json:"undelivered,omitempty"` // messages that the carrier could not bring to their recipient
	Blocks      int64 `json:"blocks,omitempty"`      // people who refused the business
	Reports     int64 `json:"reports,omitempty"`     // of spam, that the carrier forwarded
}

func (t *tally) add(o tally) {
	t.First += o.First
	t.Reached += o.Reached
	t.Delivered += o.Delivered
	t.Undelivered += o.Undelivered
	t.Blocks += o.Blocks
	t.Reports += o.Reports
}

// valid says whether no count is negative or beyond what a relay can have counted.
func (t tally) valid() bool {
	return !slices.ContainsFunc([]int64{t.First, t.Reached, t.Delivered, t.Undelivered, t.Blocks, t.Reports},
		func(n int64) bool { return n < 0 || n > 1<<40 })
}

// hour is one hour, since 1970.
type hour struct {
	At int64 `json:"at"`
	tally
}

// state is what a restart must not forget.
type state struct {
	Version int       `json:"version"`
	Tier    int       `json:"tier"`
	Since   time.Time `json:"since"`          // when the tier was reached
	Full    time.Time `json:"full,omitzero"`  // when the burst is whole again
	Until   time.Time `json:"until,omitzero"` // of the hold
	Hours   []hour    `json:"hours,omitempty"`
}

func hourOf(t time.Time) int64 { return t.Unix() / 3600 }

// setBack moves whatever lies in the future to the present, after the clock was set back, and says whether there was
// anything. Counts of later hours are added to the present hour, and a hold lasts a day from now at most. Otherwise both
// would last until the clock has caught up.
func (s *state) setBack(now time.Time) (was bool) {
	at := hourOf(now)
	if i := slices.IndexFunc(s.Hours, func(h hour) bool { return h.At > at }); i >= 0 {
		var later tally
		for _, h := range s.Hours[i:] {
			later.add(h.tally)
		}
		s.Hours, was = s.Hours[:i], true
		s.now(now).add(later)
	}
	if end := now.Add(holdTime); s.Until.After(end) {
		s.Until, was = end, true
	}
	if s.Full.After(now.Add(Day)) { // a burst is half a day's
		s.Full, was = now, true
	}
	if s.Since.After(now) {
		s.Since, was = now, true
	}
	return was
}

// now returns the hour that now is in, and forgets those of more than a week ago.
func (s *state) now(now time.Time) *hour {
	at := hourOf(now)
	if n := len(s.Hours); n == 0 || s.Hours[n-1].At < at {
		s.Hours = append(s.Hours, hour{At: at})
	}
	s.Hours = slices.DeleteFunc(s.Hours, func(h hour) bool { return h.At <= at-hoursOfWeek })
	return &s.Hours[len(s.Hours)-1]
}

// last sums the counts of the last hours, the present one included.
func (s *state) last(hours int64, now time.Time) (sum tally) {
	for _, h := range s.Hours {
		if h.At > hourOf(now)-hours {
			sum.add(h.tally)
		}
	}
	return sum
}

// read reads a state that was kept.
func read(kept []byte) (s state, err error) {
	if len(kept) > MaxState || json.Unmarshal(kept, &s) != nil || s.Version != stateVersion || s.Tier < 0 || s.Tier >= len(tiers()) ||
		len(s.Hours) > hoursOfWeek || slices.ContainsFunc(s.Hours, func(h hour) bool { return !h.valid() }) ||
		!slices.IsSortedFunc(s.Hours, func(a, b hour) int { return int(min(max(a.At-b.At, -1), 1)) }) {
		return state{}, errState
	}
	return s, nil
}
