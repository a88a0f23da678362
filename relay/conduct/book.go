package conduct

import (
	"cmp"
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

// Rules say what holds for a business now.
type Rules struct {
	// Enforce limits first contacts; otherwise they are only counted.
	Enforce bool
	// Exempt says that a cluster admin exempted the business: nothing is enforced, and the state says so.
	Exempt bool
	// Relays is how many relays share the limit, this one included: at least 1. Each has its part of the burst.
	Relays int64
	// Others is how many strangers the other relays wrote to within a day, as far as they have said. Each of Silent others has
	// not said lately, and counts as having used its part.
	Others, Silent int64
	// OthersHeld says that another relay of the business is held.
	OthersHeld bool
	// YellowPercent and RedPercent are the undelivered shares at which quality drops; 0 means 5 and 15.
	YellowPercent, RedPercent int64
}

// How the limit works, beside the tiers.
const (
	// holdTime is for how long a business is held.
	holdTime = Day
	// burstPart is which part of a day's first contacts may be made at once. The others come back evenly over the day.
	burstPart = 2
	// heldPart is which part of a day's first contacts, refused within an hour, makes a hold: different people, so that a
	// program which repeats its requests is not held for it.
	heldPart = 2
	// aheadPart is which part of a day's first contacts is counted in the kept state before they are made. A crash forgets
	// none, and counts at most so many that were not made.
	aheadPart = 64
	// growPart is which part of a day's first contacts must have been made for the next tier.
	growPart = 2
	// provenHours is how long ago they must have been made.
	provenHours = 12
)

// LimitError means that the business may not write to somebody now.
type LimitError struct {
	// Held says that it may not write to strangers at all; otherwise it only wrote to too many.
	Held bool
	// Wait is after what time it may be worth trying again.
	Wait time.Duration
}

// Error implements error.
func (e *LimitError) Error() string {
	if e.Held {
		return "writing to strangers is held"
	}
	return fmt.Sprintf("too many first contacts: wait %s", e.Wait.Round(time.Second))
}

// Book keeps the counts of one business and decides by them. It is safe for concurrent use.
type Book struct {
	mu      sync.Mutex // guards the following fields
	rules   Rules
	state   state
	changed bool  // since the state was last taken to be kept
	ahead   int64 // first contacts that the kept state counts, and that were not made yet

	hour             int64  // that the sketches are of
	reached, refused sketch // people in that hour
	before           int64  // how many people were reached in that hour before the process started
	slowed           time.Time
}

// Open returns the book whose state was kept, or a new one if that is nil, for a store that knows so many customers: of a
// business that was there before its conduct was counted, none is a stranger, and its tier is one that fits what it did. If
// the state cannot be read, it returns an error and a book that begins in the lowest tier.
func Open(kept []byte, customers int64, now time.Time) (*Book, error) {
	b := &Book{state: state{Version: stateVersion, Since: now}, rules: Rules{Relays: 1}}
	var err error
	if kept == nil {
		b.state.Tier = tierFor(customers)
		b.changed = true
	} else if s, failed := read(kept); failed == nil {
		b.state = s
	} else {
		err = failed
	}
	b.hour = hourOf(now)
	b.before = b.state.last(1, now).Reached
	return b, err
}

// SetRules sets what holds from now on.
func (b *Book) SetRules(r Rules) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r.Relays = max(r.Relays, 1)
	b.rules = r
}

// Save returns the state to keep, if it changed since the last call, else nil. Call it every few seconds, and with last when
// no contact follows; if keeping it fails, call Unsaved. What is returned later must be kept later.
func (b *Book) Save(now time.Time, last bool) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if last && b.ahead > 0 {
		b.changed, b.ahead = true, 0
	}
	if !b.changed {
		return nil
	}
	return b.encode(now, b.ahead)
}

// Unsaved says that what Save or Contact returned was not kept.
func (b *Book) Unsaved() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.changed, b.ahead = true, 0
}

// encode returns the state with so many first contacts more than were made.
func (b *Book) encode(now time.Time, ahead int64) []byte {
	b.turn(now)
	s := b.state
	s.Hours = append([]hour(nil), s.Hours...)
	if ahead > 0 {
		s.now(now).First += ahead
		s.Full = later(s.Full, now).Add(time.Duration(ahead) * b.pace())
	}
	b.changed = false
	kept, err := json.Marshal(s)
	if err != nil {
		panic(err) // it has nothing that cannot be written
	}
	return kept
}

// turn begins a new hour. After the clock was set back, what was kept follows it.
func (b *Book) turn(now time.Time) *hour {
	if b.state.setBack(now) {
		b.changed, b.ahead, b.hour = true, 0, hourOf(now)
	}
	if at := hourOf(now); at > b.hour {
		b.hour, b.reached, b.refused, b.before = at, sketch{}, sketch{}, 0
	}
	return b.state.now(now)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// limit is how many strangers may be written to in a day; 0 for no limit.
func (b *Book) limit() int64 { return tiers()[b.state.Tier].limit }

// pace is how long it takes until one more first contact may be made.
func (b *Book) pace() time.Duration {
	if b.limit() == 0 {
		return 0
	}
	return Day / time.Duration(b.limit())
}

// Contact decides whether the business may write to somebody, and counts it if they are a stranger: nobody of whom the relay
// knows, because neither wrote to the other within the retention. Wrote says that they wrote to the business, who is an
// opaque name of them, of which nothing is kept. The error is a *LimitError. Keep, unless it is nil, is the state to keep
// with what follows from the contact. Call Undo if that fails.
func (b *Book) Contact(now time.Time, who string, stranger, wrote bool) (keep []byte, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.turn(now)
	if stranger {
		b.grow(now)
	}
	if refused := b.refuse(now, stranger, wrote); refused != nil {
		if !refused.Held { // what a hold refuses must not make the next hold
			b.tooMuch(now, who)
		}
		return nil, refused
	}
	if b.reached.add(who) {
		h.Reached = b.before + b.reached.count()
	}
	b.changed = true
	if !stranger {
		return nil, nil
	}
	h.First++
	b.state.Full = later(b.state.Full, now).Add(b.pace())
	if !b.enforces() || b.limit() == 0 {
		return nil, nil
	}
	if b.ahead--; b.ahead >= 0 {
		return nil, nil
	}
	b.ahead = b.limit() / aheadPart
	return b.encode(now, b.ahead), nil
}

// Undo takes a stranger back to whom nothing was written after all.
func (b *Book) Undo(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.turn(now)
	h.First = max(h.First-1, 0)
	b.state.Full = b.state.Full.Add(-b.pace())
	b.changed, b.ahead = true, 0
}

func (b *Book) enforces() bool { return b.rules.Enforce && !b.rules.Exempt }

// refuse says why somebody may not be written to now; nil if they may.
func (b *Book) refuse(now time.Time, stranger, wrote bool) *LimitError {
	if !b.enforces() || wrote {
		return nil
	}
	if wait, held := b.held(now); held {
		return &LimitError{Held: true, Wait: wait}
	}
	if !stranger || b.limit() == 0 {
		return nil
	}
	if wait := b.tooMany(now); wait > 0 {
		return &LimitError{Wait: wait}
	}
	return nil
}

// held says whether writing to those who never wrote is held, and for how long at least.
func (b *Book) held(now time.Time) (wait time.Duration, held bool) {
	switch {
	case now.Before(b.state.Until):
		return b.state.Until.Sub(now), true
	case b.rules.OthersHeld, b.complained(now):
		return time.Hour, true
	}
	return 0, false
}

// complained says whether so many people refused the business or reported it that it is held. What does not arrive holds
// nobody: many people have no account at a carrier.
func (b *Book) complained(now time.Time) bool {
	return b.state.last(hoursOfWeek, now).complained(redComplaints, redComplaintShare)
}

// tooMany returns how long the next stranger has to wait; 0 if the limit has room.
func (b *Book) tooMany(now time.Time) time.Duration {
	limit, relays := b.limit(), b.rules.Relays
	used := b.state.last(hoursOfDay, now).First + b.rules.Others + b.rules.Silent*(limit/relays)
	if used >= limit {
		return time.Duration(hourOf(now)+1)*time.Hour - time.Duration(now.Unix())*time.Second
	}
	burst := max(limit/burstPart/relays, 1)
	return max(later(b.state.Full, now).Sub(now)-time.Duration(burst-1)*b.pace(), 0)
}

// tooMuch notes that a stranger was refused who was one too many, and holds a business that wants to write to many such.
func (b *Book) tooMuch(now time.Time, who string) {
	b.turn(now)
	b.slowed = now
	b.refused.add(who)
	if b.refused.count() < max(b.limit()/heldPart, 1) {
		return
	}
	b.state.Until = now.Add(holdTime)
	b.lower(now)
	b.changed = true
}

// grow moves a business to the next tier that used much of its own for a day and behaved well. That day ended provenHours ago:
// a burst must not widen its own limit before anybody could complain.
func (b *Book) grow(now time.Time) {
	if b.limit() == 0 || now.Sub(b.state.Since) < Day || now.Sub(b.state.Until) < Day || b.quality(now) != Green {
		return
	}
	used := b.state.last(hoursOfDay+provenHours, now).First - b.state.last(provenHours, now).First
	if used < b.limit()/growPart {
		return
	}
	b.state.Tier++
	b.state.Since, b.changed, b.ahead = now, true, 0
}

// lower moves a business to the tier below.
func (b *Book) lower(now time.Time) {
	b.state.Tier = max(b.state.Tier-1, 0)
	b.state.Since, b.ahead = now, 0
}

func (b *Book) quality(now time.Time) Quality {
	return quality(b.state.last(hoursOfWeek, now), cmp.Or(b.rules.YellowPercent, defaultYellowPercent), cmp.Or(b.rules.RedPercent, defaultRedPercent))
}

// count changes the present hour.
func (b *Book) count(now time.Time, change func(*hour)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(b.turn(now))
	b.changed = true
}

// Delivered counts a message that a person has.
func (b *Book) Delivered(now time.Time) { b.count(now, func(h *hour) { h.Delivered++ }) }

// Undelivered counts a message that the carrier could not bring to its recipient.
func (b *Book) Undelivered(now time.Time) { b.count(now, func(h *hour) { h.Undelivered++ }) }

// Blocked counts a person who refused the business, as the carrier tells.
func (b *Book) Blocked(now time.Time) { b.count(now, func(h *hour) { h.Blocks++ }) }

// Reported counts a report of spam that the carrier forwarded.
func (b *Book) Reported(now time.Time) { b.count(now, func(h *hour) { h.Reports++ }) }
