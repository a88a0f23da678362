package conduct_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/conduct"
	"github.com/relaykeep/relaykeep/test/racing"
)

// The limits were chosen for 250 strangers a day and round numbers of complaints. The parameters of spammers and of normal
// businesses were written down before anything was run, and none was changed since: the limits were not fitted to them. One
// normal business was added afterwards, and the list of mostly dead addresses got 20 minutes instead of 10 when undelivered
// messages no longer held anybody. Every draw has a seed.

// crowd is how the people react to whom a business writes.
type crowd struct {
	nobody  float64 // share of addresses that reach nobody
	refuse  float64 // share of strangers who refuse the business or report it
	answers float64 // share who write back
}

// outcome is when a business was first slowed and held, and who was refused.
type outcome struct {
	slowed, held     time.Duration // 0: never
	strangers, known int           // who were refused
	reached          int           // strangers who got something
}

// simulate has a business write to people at a rate, each time to a stranger with a probability.
func simulate(t *testing.T, b *business, perHour float64, strange float64, people crowd, length time.Duration, seed uint64) (o outcome) {
	t.Helper()
	draw := rand.New(rand.NewPCG(seed, 7))
	wrote := map[string]bool{}
	var known []string
	for i := range 3000 { // customers who wrote before
		known = append(known, fmt.Sprint("customer ", i))
		wrote[known[i]] = true
	}
	begin := b.now
	for b.now.Sub(begin) < length {
		b.now = b.now.Add(time.Duration(draw.ExpFloat64() / perHour * float64(time.Hour)))
		stranger := draw.Float64() < strange
		who := known[draw.IntN(len(known))]
		if stranger {
			b.next++
			who = fmt.Sprint("person ", b.next)
		}
		_, err := b.book.Contact(b.now, who, stranger, wrote[who])
		if err != nil {
			at := b.now.Sub(begin)
			if isHeld(err) && o.held == 0 {
				o.held = at
			} else if !isHeld(err) && o.slowed == 0 {
				o.slowed = at
			}
			if stranger {
				o.strangers++
			} else {
				o.known++
			}
			continue
		}
		if stranger {
			o.reached++
		}
		if stranger && draw.Float64() < people.nobody {
			b.book.Undelivered(b.now)
			continue
		}
		b.book.Delivered(b.now)
		if !stranger {
			continue
		}
		known = append(known, who)
		switch p := draw.Float64(); {
		case p < people.refuse:
			b.book.Blocked(b.now)
		case p < people.refuse+people.answers:
			wrote[who] = true
		}
	}
	return o
}

func TestSimulation_ASpammerIsHeldWithinMinutes(t *testing.T) {
	racing.SkipExhaustive(t)
	for i, c := range []struct {
		name    string
		perHour float64
		people  crowd
		within  time.Duration
		most    int // strangers whom it reaches in six hours, or with 20,000 attempts
	}{
		{"as fast as the endpoint takes", 190_000, crowd{nobody: .37, refuse: .021, answers: .004}, time.Minute, 125},
		{"a message each two seconds", 1_830, crowd{nobody: .22, refuse: .034, answers: .002}, 15 * time.Minute, 140},
		{"a bought list, mostly dead", 900, crowd{nobody: .71, refuse: .011, answers: .001}, 20 * time.Minute, 140},
		{"a message each half minute, much hated", 117, crowd{nobody: .05, refuse: .093, answers: .01}, 90 * time.Minute, 160},
	} {
		for seed := range uint64(5) {
			o := simulate(t, open(t, nil, 0), c.perHour, 1, c.people, min(6*time.Hour, time.Duration(2e4/c.perHour*float64(time.Hour))), seed+uint64(100*i))
			if o.held == 0 || o.held > c.within || o.reached > c.most {
				t.Errorf("%s, seed %d: held after %v, %d strangers reached", c.name, seed, o.held, o.reached)
			}
		}
	}
}

func TestSimulation_ASpammerWithAHistoryIsHeldWithinMinutes(t *testing.T) {
	racing.SkipExhaustive(t)
	for seed := range uint64(5) {
		b := open(t, nil, 0)
		if o := simulate(t, b, 22, .05, crowd{nobody: .01, answers: .7}, 72*time.Hour, seed); o.strangers+o.known > 0 {
			t.Fatalf("seed %d: the history is not a quiet one: %+v", seed, o)
		}
		if o := simulate(t, b, 40_000, .97, crowd{nobody: .3, refuse: .02}, time.Hour, seed+50); o.held == 0 || o.held > 2*time.Minute || o.reached > 130 {
			t.Errorf("seed %d: %+v", seed, o)
		}
	}
}

func TestSimulation_NormalBusinessesAreLeftAlone(t *testing.T) {
	racing.SkipExhaustive(t)
	for i, c := range []struct {
		name             string
		customers        int64
		perHour, strange float64
		people           crowd
		length           time.Duration
	}{
		{"a campaign to existing customers", 0, 24_000, 0, crowd{}, 3 * time.Hour},
		{"a service desk that mostly replies", 0, 310, .011, crowd{nobody: .02, refuse: .001, answers: .8}, 14 * 24 * time.Hour},
		{"a shop's order notices", 0, 95, .068, crowd{nobody: .03, refuse: .002, answers: .3}, 14 * 24 * time.Hour},
		{"one whose customers often have no account", 0, 70, .1, crowd{nobody: .55, answers: .2}, 7 * 24 * time.Hour},
		{"a large one that was there before", 7_300, 4_100, .052, crowd{nobody: .04, refuse: .0015, answers: .25}, 48 * time.Hour},
	} {
		for seed := range uint64(2) {
			b := open(t, nil, c.customers)
			if o := simulate(t, b, c.perHour, c.strange, c.people, c.length, seed+uint64(1000*i)); o.strangers+o.known > 0 {
				t.Errorf("%s, seed %d: %+v", c.name, seed, o)
			}
		}
	}
}

func TestSimulation_ABurstOfATinyBusinessIsSlowedAndItsCustomersAreNot(t *testing.T) {
	racing.SkipExhaustive(t)
	for seed := range uint64(10) {
		b := open(t, nil, 31)
		// An announcement to 180 of whom it has never written to 160, in four minutes, and it goes on with its customers.
		o := simulate(t, b, 2_700, .89, crowd{nobody: .06, refuse: .004, answers: .2}, 4*time.Minute, seed)
		if o.held != 0 || o.known != 0 || o.reached < 110 {
			t.Errorf("seed %d: %+v", seed, o)
		}
		o = simulate(t, b, 130, .02, crowd{nobody: .05, answers: .3}, 20*time.Hour, seed+30)
		if o.held != 0 || o.known != 0 {
			t.Errorf("seed %d, the day after: %+v", seed, o)
		}
	}
}

func TestSimulation_SlowGrowthReachesHigherTiers(t *testing.T) {
	racing.SkipExhaustive(t)
	for seed := range uint64(2) {
		b := open(t, nil, 0)
		refused := 0
		daily := 60.0
		for day := range 20 { // a fifth more strangers each day
			o := simulate(t, b, daily*4/24, .25, crowd{nobody: .03, refuse: .001, answers: .4}, 24*time.Hour, seed*100+uint64(day))
			refused += o.strangers + o.known
			daily *= 1.2
		}
		if s := b.signals(); refused > 0 || s.Tier == "TIER_250" || s.Quality != conduct.Green {
			t.Errorf("seed %d: %d refused, %+v", seed, refused, s)
		}
	}
}
