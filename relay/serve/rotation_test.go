package serve

import (
	"errors"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/clock"
	"github.com/relaykeep/relaykeep/relay/config"
	"github.com/relaykeep/relaykeep/relay/seal"
)

func TestCounterTurnsForwardsOnly(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	before := now.Add(-time.Hour)
	cases := map[string]struct {
		was  turn
		n    int
		want turn
		err  error
	}{
		"the first":         {turn{}, 1, turn{Number: 1}, nil},
		"the first is high": {turn{}, 7, turn{Number: 7}, nil},
		"the same":          {turn{Number: 2, Before: 1, Since: before}, 2, turn{Number: 2, Before: 1, Since: before}, nil},
		"the next":          {turn{Number: 1}, 2, turn{Number: 2, Before: 1, Since: now}, nil},
		"some on":           {turn{Number: 2, Before: 1, Since: before}, 5, turn{Number: 5, Before: 2, Since: now}, nil},
		"back":              {turn{Number: 3}, 2, turn{Number: 3}, errCounterBack},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := tc.was.to(tc.n, now)
			if got != tc.want || !errors.Is(err, tc.err) {
				t.Errorf("got %+v, %v; want %+v, %v", got, err, tc.want, tc.err)
			}
		})
	}
}

func TestRotation_FormerIsHonouredUntilTheOverlapEnds(t *testing.T) {
	since := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	rotated := turn{Number: 2, Before: 1, Since: since}
	if n, until, ok := rotated.former(time.Hour, since); n != 1 || !ok || !until.Equal(since.Add(time.Hour)) {
		t.Errorf("at once: %d, %s, %v", n, until, ok)
	}
	if _, _, ok := rotated.former(time.Hour, since.Add(time.Hour)); ok {
		t.Error("honoured at the overlap's end")
	}
	if _, _, ok := (turn{Number: 2}).former(time.Hour, since); ok {
		t.Error("honoured though there was none")
	}
}

func TestClocksMayDifferByMinutesOnly(t *testing.T) {
	now := time.Now()
	for off, wrong := range map[time.Duration]bool{
		0: false, clock.MaxSkew - time.Minute: false, time.Minute - clock.MaxSkew: false,
		clock.MaxSkew + time.Minute: true, -time.Hour: true, 30 * 24 * time.Hour: true,
	} {
		r := &relay{clock: clock.NewTrusted(func() time.Time { return now.Add(off) })}
		r.clock.Set(now)
		r.noteSkew()
		if errors.Is(r.state.skew, errClock) != wrong {
			t.Errorf("%s off: %v", off, r.state.skew)
		}
	}
}

func TestDataKeyThatOutlivedTheRetentionIsSaid(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r := &relay{cfg: &config.File{Config: contract.Config{RetentionDays: 30}}}
	r.Now = func() time.Time { return now }
	epoch := func(age time.Duration) seal.Epoch { return seal.Epoch{ID: 1, Created: now.Add(-age)} }
	const day = 24 * time.Hour
	for name, tc := range map[string]struct {
		live []seal.Epoch // youngest first
		want error
	}{
		"none":    {nil, nil},
		"young":   {[]seal.Epoch{epoch(0), epoch(30 * day)}, nil},
		"too old": {[]seal.Epoch{epoch(0), epoch(30*day + time.Second)}, errOverdue},
	} {
		if err := r.outlived(tc.live); !errors.Is(err, tc.want) || (err == nil) != (tc.want == nil) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
}
