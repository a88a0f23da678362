package conduct_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/conduct"
	"github.com/relaykeep/relaykeep/test/fuzz/mutation"
)

// monday is when the tests' clocks begin.
var monday = time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)

// business is one with a book and a clock that only the test moves.
type business struct {
	*testing.T
	book *conduct.Book
	now  time.Time
	next int // the next stranger's name
}

func open(t *testing.T, kept []byte, customers int64) *business {
	t.Helper()
	book, err := conduct.Open(kept, customers, monday)
	if err != nil {
		t.Fatal(err)
	}
	book.SetRules(conduct.Rules{Enforce: true})
	return &business{T: t, book: book, now: monday}
}

// stranger writes to somebody new and says whether it was allowed to.
func (b *business) stranger() error {
	b.next++
	_, err := b.book.Contact(b.now, fmt.Sprint("person ", b.next), true, false)
	return err
}

// strangers writes to so many new people at once, and returns to how many it may.
func (b *business) strangers(n int) (allowed int) {
	for range n {
		if b.stranger() == nil {
			allowed++
		}
	}
	return allowed
}

func (b *business) signals() conduct.Signals { return b.book.Signals(b.now) }

// isHeld says whether an error says that the business is held.
func isHeld(err error) bool {
	var limit *conduct.LimitError
	return errors.As(err, &limit) && limit.Held
}

func TestFirstContacts_AreSlowedPastTheBurstAndThenHeld(t *testing.T) {
	b := open(t, nil, 0)
	if got := b.strangers(200); got != 125 {
		t.Errorf("%d strangers at once, want half a day's 250", got)
	}
	var limit *conduct.LimitError
	if err := b.stranger(); !errors.As(err, &limit) || limit.Held || limit.Wait <= 0 || limit.Wait > 6*time.Minute {
		t.Fatalf("the next one: %v", err)
	}
	if s := b.signals(); s.State != conduct.Slowed || s.Tier != "TIER_250" || s.FirstContacts != 125 {
		t.Errorf("%+v", s)
	}
	b.now = b.now.Add(limit.Wait)
	if err := b.stranger(); err != nil {
		t.Errorf("after the wait: %v", err)
	}
	b.strangers(60)
	if err := b.stranger(); !isHeld(err) {
		t.Fatalf("after 125 different people were refused within the hour: %v", err)
	}
	if _, err := b.book.Contact(b.now, "known", false, true); err != nil {
		t.Errorf("who wrote to the business: %v", err)
	}
	if _, err := b.book.Contact(b.now, "silent", false, false); !isHeld(err) {
		t.Errorf("who was written to and never wrote: %v", err)
	}
	b.now = b.signals().Until
	if err := b.stranger(); err != nil {
		t.Errorf("after the hold: %v", err)
	}
}

func TestFirstContacts_ARepeatedRequestHoldsNobody(t *testing.T) {
	b := open(t, nil, 0)
	b.strangers(125)
	for range 10_000 {
		if _, err := b.book.Contact(b.now, "the same person", true, false); err == nil || isHeld(err) {
			t.Fatal(err)
		}
	}
}

func TestFirstContacts_WhoIsKnownIsNeverSlowed(t *testing.T) {
	b := open(t, nil, 0)
	b.strangers(126)
	for i := range 5000 {
		if _, err := b.book.Contact(b.now, fmt.Sprint("customer ", i), false, i%2 == 0); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFirstContacts_ADayHasNoMoreThanItsTier(t *testing.T) {
	b := open(t, nil, 0)
	total := b.strangers(125)
	for end := b.now.Add(23 * time.Hour); b.now.Before(end); b.now = b.now.Add(10 * time.Minute) {
		total += b.strangers(2)
	}
	if total > 250 || total < 240 {
		t.Errorf("%d first contacts in a day", total)
	}
}

func TestTier_GrowsWithGoodUseAndOnlySo(t *testing.T) {
	for name, c := range map[string]struct {
		contacts             int
		delivered, undeliver int
		want                 string
	}{
		"well used and well received": {200, 150, 5, "TIER_2K"},
		"hardly used":                 {40, 40, 0, "TIER_250"},
		"nobody says that it arrives": {200, 0, 0, "TIER_250"},
		"much does not arrive":        {200, 60, 30, "TIER_250"},
	} {
		b := open(t, nil, 0)
		b.now = b.now.Add(30 * time.Hour)
		for range 10 {
			b.now = b.now.Add(2 * time.Hour)
			b.strangers(c.contacts / 10)
		}
		for range c.delivered {
			b.book.Delivered(b.now)
		}
		for range c.undeliver {
			b.book.Undelivered(b.now)
		}
		if _ = b.stranger(); b.signals().Tier != "TIER_250" {
			t.Errorf("%s: the tier grew before anybody could complain", name)
		}
		b.now = b.now.Add(12 * time.Hour)
		if err := b.stranger(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := b.signals().Tier; got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestTier_ABusinessThatWasThereBeforeFitsItsTier(t *testing.T) {
	for customers, want := range map[int64]string{0: "TIER_250", 250: "TIER_250", 251: "TIER_2K", 9_000: "TIER_10K", 90_000: "TIER_100K", 1 << 30: conduct.Unlimited} {
		if got := open(t, nil, customers).signals().Tier; got != want {
			t.Errorf("%d customers: %s, want %s", customers, got, want)
		}
	}
}

func TestQuality_FollowsDeliveriesAndComplaints(t *testing.T) {
	for name, c := range map[string]struct {
		reached, delivered, undelivered, blocks, reports int
		want                                             conduct.Quality
	}{
		"nothing yet":                {want: conduct.Unknown},
		"a few messages":             {reached: 19, delivered: 19, want: conduct.Unknown},
		"good":                       {reached: 1000, delivered: 990, undelivered: 10, blocks: 2, reports: 1, want: conduct.Green},
		"a twentieth is undelivered": {reached: 100, delivered: 95, undelivered: 5, want: conduct.Yellow},
		"a fifth is undelivered":     {reached: 100, delivered: 80, undelivered: 20, want: conduct.Red},
		"too few to share":           {reached: 49, delivered: 20, undelivered: 29, want: conduct.Green},
		"some complain":              {reached: 500, delivered: 500, blocks: 2, reports: 1, want: conduct.Yellow},
		"many complain":              {reached: 240, delivered: 240, blocks: 2, reports: 3, want: conduct.Red},
		"few of very many do":        {reached: 20_000, delivered: 20_000, reports: 40, want: conduct.Green},
		"one angry person is none":   {reached: 3, delivered: 30, reports: 2, want: conduct.Green},
	} {
		b := open(t, nil, 1<<30)
		b.strangers(c.reached)
		for n, count := range map[int]func(time.Time){c.delivered: b.book.Delivered} {
			repeat(n, func() { count(b.now) })
		}
		repeat(c.undelivered, func() { b.book.Undelivered(b.now) })
		repeat(c.blocks, func() { b.book.Blocked(b.now) })
		repeat(c.reports, func() { b.book.Reported(b.now) })
		if got := b.signals().Quality; got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestQuality_HasTheRegionsThresholds(t *testing.T) {
	b := open(t, nil, 0)
	repeat(70, func() { b.book.Delivered(b.now) })
	repeat(30, func() { b.book.Undelivered(b.now) })
	for want, percent := range map[conduct.Quality][2]int64{conduct.Red: {}, conduct.Yellow: {30, 31}, conduct.Green: {31, 40}} {
		b.book.SetRules(conduct.Rules{YellowPercent: percent[0], RedPercent: percent[1]})
		if got := b.signals().Quality; got != want {
			t.Errorf("with %v: %s, want %s", percent, got, want)
		}
	}
	b.book.SetRules(conduct.Rules{Enforce: true})
	if err := b.stranger(); err != nil {
		t.Errorf("what does not arrive holds a business: %v", err)
	}
}

func repeat(n int, do func()) {
	for range n {
		do()
	}
}

func TestQuality_ManyComplaintsHoldABusinessForAWeek(t *testing.T) {
	b := open(t, nil, 0)
	b.strangers(100)
	repeat(5, func() { b.book.Reported(b.now) })
	if err := b.stranger(); !isHeld(err) {
		t.Fatalf("after five reports of a hundred: %v", err)
	}
	if s := b.signals(); s.State != conduct.Held || !s.OwnHold() {
		t.Errorf("%+v", s)
	}
	b.now = b.now.Add(7 * 24 * time.Hour)
	if err := b.stranger(); err != nil {
		t.Errorf("a week later: %v", err)
	}
}

func TestRules_WithoutEnforcementOrExemptNothingIsRefused(t *testing.T) {
	for state, rules := range map[conduct.State]conduct.Rules{conduct.Off: {}, conduct.Exempt: {Exempt: true, Enforce: true, OthersHeld: true}} {
		b := open(t, nil, 0)
		b.book.SetRules(rules)
		if got := b.strangers(20_000); got != 20_000 {
			t.Errorf("%s: %d of 20,000", state, got)
		}
		if s := b.signals(); s.State != state || s.Tier != conduct.Unlimited || s.FirstContacts != 20_000 || s.Reached < 19_500 || s.Reached > 20_500 {
			t.Errorf("%+v", s)
		}
	}
}

func TestRules_AnExemptionEndsAHold(t *testing.T) {
	b := open(t, nil, 0)
	b.strangers(300)
	if err := b.stranger(); !isHeld(err) {
		t.Fatal(err)
	}
	b.book.SetRules(conduct.Rules{Exempt: true})
	if err := b.stranger(); err != nil {
		t.Errorf("once exempt: %v", err)
	}
}

func TestRules_RelaysOfANamespaceShareTheLimit(t *testing.T) {
	const relays = 16
	total := 0
	var shared [relays]*business
	for i := range shared {
		shared[i] = open(t, nil, 0)
		shared[i].book.SetRules(conduct.Rules{Enforce: true, Relays: relays})
		total += shared[i].strangers(100)
	}
	if total > 125 {
		t.Errorf("%d strangers at once over %d relays: one may write to 125", total, relays)
	}
	for _, b := range shared {
		b.book.SetRules(conduct.Rules{Enforce: true, Relays: relays, Others: 250})
		if err := b.stranger(); err == nil {
			t.Error("a relay may write to a stranger after the others used the day's limit")
		}
	}
	one := open(t, nil, 0)
	one.book.SetRules(conduct.Rules{Enforce: true, Relays: 2, Silent: 1})
	for end := one.now.Add(23 * time.Hour); one.now.Before(end); one.now = one.now.Add(10 * time.Minute) {
		one.strangers(1)
	}
	if got := one.signals().FirstContacts; got != 125 {
		t.Errorf("beside a silent relay, %d first contacts in a day, want its half", got)
	}
	held := open(t, nil, 0)
	held.book.SetRules(conduct.Rules{Enforce: true, Relays: 2, OthersHeld: true})
	if err := held.stranger(); !isHeld(err) {
		t.Errorf("beside a relay that is held: %v", err)
	}
	if held.signals().OwnHold() {
		t.Error("two relays would keep each other held for ever")
	}
}

// People who are refused during a hold do not count towards the next. Otherwise the relays of a namespace would keep each
// other held forever, and one without a limit would drop a tier at the first refusal.
func TestRules_WhatAHoldRefusesMakesNoOtherHold(t *testing.T) {
	for name, customers := range map[string]int64{"with a limit": 0, "without one": 1 << 30} {
		b := open(t, nil, customers)
		tier := b.signals().Tier
		b.book.SetRules(conduct.Rules{Enforce: true, Relays: 2, OthersHeld: true})
		if allowed := b.strangers(1000); allowed != 0 {
			t.Errorf("%s: %d strangers beside a relay that is held", name, allowed)
		}
		b.book.SetRules(conduct.Rules{Enforce: true, Relays: 2})
		if s := b.signals(); s.State != conduct.Free || s.Tier != tier {
			t.Errorf("%s, once the other is not held any more: %+v", name, s)
		}
	}
}

func TestState_SurvivesARestart(t *testing.T) {
	b := open(t, nil, 0)
	b.strangers(300)
	until := b.signals().Until
	again := open(t, b.book.Save(b.now, true), 0)
	if s := again.signals(); until.IsZero() || !s.Until.Equal(until) || s.FirstContacts != 125 || s.State != conduct.Held {
		t.Errorf("held until %v; after the restart %+v", until, s)
	}
}

func TestState_ACrashForgetsNoFirstContact(t *testing.T) {
	b := open(t, nil, 0)
	var kept []byte
	made := int64(0)
	for range 125 {
		b.next++
		keep, err := b.book.Contact(b.now, fmt.Sprint("person ", b.next), true, false)
		if err != nil {
			t.Fatal(err)
		}
		made++
		if keep != nil {
			kept = keep
		}
		after := open(t, kept, 0) // the process was killed
		if got := after.signals().FirstContacts; got < made || got > made+4 {
			t.Fatalf("after %d first contacts and a crash, %d are known", made, got)
		}
	}
}

func TestState_WhatIsUndoneOrNotKeptCountsRight(t *testing.T) {
	b := open(t, nil, 0)
	repeat(1000, func() {
		if b.stranger() == nil {
			b.book.Undo(b.now)
		}
	})
	if got := b.signals(); got.FirstContacts != 0 || got.State != conduct.Free {
		t.Errorf("%+v", got)
	}
	if b.book.Save(b.now, false) == nil || b.book.Save(b.now, false) != nil {
		t.Error("the state is not taken once")
	}
	b.book.Unsaved()
	if b.book.Save(b.now, false) == nil {
		t.Error("a state that was not kept is not taken again")
	}
}

func TestState_FollowsAClockThatIsSetBack(t *testing.T) {
	for _, ahead := range []time.Duration{2 * time.Hour, 100 * conduct.Day} {
		b := open(t, nil, 0)
		b.now = monday.Add(ahead)
		b.strangers(300)
		if err := b.stranger(); !isHeld(err) {
			t.Fatalf("%s ahead: %v", ahead, err)
		}
		again, err := conduct.Open(b.book.Save(b.now, true), 0, monday)
		if err != nil {
			t.Fatal(err)
		}
		again.SetRules(conduct.Rules{Enforce: true})
		for what, book := range map[string]*conduct.Book{"which runs": b.book, "which starts": again} {
			b.book, b.now = book, monday
			if err := b.stranger(); !isHeld(err) {
				t.Errorf("a relay %s, set back by %s, forgot its hold: %v", what, ahead, err)
			}
			if s := b.signals(); s.FirstContacts < 125 || s.Until.After(monday.Add(conduct.Day)) {
				t.Errorf("a relay %s, set back by %s: %+v", what, ahead, s)
			}
			b.now = monday.Add(conduct.Day + time.Hour)
			if got := b.strangers(10); got != 10 {
				t.Errorf("a relay %s, set back by %s, may write to %d strangers after a day, want 10", what, ahead, got)
			}
		}
	}
}

func TestState_DamagedOnesBeginInTheLowestTier(t *testing.T) {
	for _, kept := range []string{
		"", "{}", `{"version":2}`, `{"version":1,"tier":9}`, `{"version":1,"tier":-1}`, `{"version":1,"hours":[{"at":2},{"at":1}]}`,
		`{"version":1,"hours":[{"at":1,"first":-5}]}`, strings.Repeat(" ", conduct.MaxState+1),
	} {
		book, err := conduct.Open([]byte(kept), 50_000, monday)
		if err == nil || book.Signals(monday).FirstContacts != 0 {
			t.Errorf("%.40q: %v", kept, err)
		}
		book.SetRules(conduct.Rules{Enforce: true})
		if s := book.Signals(monday); s.Limit != 250 {
			t.Errorf("%.40q: %+v", kept, s)
		}
	}
}

func TestSignals_AreRoundedUpInTenthsOfTheLimit(t *testing.T) {
	b := open(t, nil, 0)
	seen := map[int64]bool{}
	for range 125 {
		b.strangers(1)
		s := b.signals()
		if s.Rounded() < s.FirstContacts || s.Rounded() > s.FirstContacts+25 {
			t.Fatalf("%d are told as %d", s.FirstContacts, s.Rounded())
		}
		seen[s.Rounded()] = true
	}
	if len(seen) != 5 {
		t.Errorf("125 first contacts changed what is told %d times", len(seen))
	}
}

func FuzzOpen(tf *testing.F) {
	f := mutation.Of(tf)
	book, err := conduct.Open(nil, 300, monday)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(book.Save(monday, true)))
	f.Add(`{"version":1,"tier":1,"since":"2026-11-02T08:00:00Z","hours":[{"at":1,"first":5}]}`)
	f.Fuzz(func(t *testing.T, kept string) {
		book, err := conduct.Open([]byte(kept), 0, monday)
		if book == nil {
			t.Fatal(err)
		}
		book.SetRules(conduct.Rules{Enforce: true})
		for i := range 20 {
			_, _ = book.Contact(monday, fmt.Sprint(i), true, false)
		}
		if again, err := conduct.Open(book.Save(monday, true), 0, monday); err != nil || again.Signals(monday).FirstContacts != book.Signals(monday).FirstContacts {
			t.Errorf("a state does not survive being kept: %v", err)
		}
	})
}
