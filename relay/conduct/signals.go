package conduct

import "time"

// State says whether a business may write to strangers.
type State string

// The states.
const (
	Free   State = "Free"   // it may, within its tier
	Slowed State = "Slowed" // it wrote to too many, and waits
	Held   State = "Held"   // it may write only to who wrote to it
	Exempt State = "Exempt" // a cluster admin exempted it
	Off    State = "Off"    // nothing is enforced
)

// States lists all.
func States() []State { return []State{Free, Slowed, Held, Exempt, Off} }

// Signals are what is known of a business's conduct.
type Signals struct {
	State   State
	Quality Quality
	Tier    string // in the Cloud API's words; Unlimited if nothing is enforced
	Limit   int64  // strangers a day; 0 for no limit
	// Until is when a hold of this relay's own ends; zero if there is none. OthersHeld says that it is held because another is.
	Until      time.Time
	OthersHeld bool
	Complained bool // it is held because many people refused it or reported it

	FirstContacts        int64 // of a day
	Reached              int64 // people in the present hour
	Delivered            int64 // messages of a week
	Undelivered          int64
	Blocks, SpamReports  int64 // of a week
	OthersFirst, Silents int64 // as the rules have them
}

// slowedTime is for how long a business counts as slowed after it was refused.
const slowedTime = 10 * time.Minute

// Signals returns what is known now.
func (b *Book) Signals(now time.Time) Signals {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.turn(now)
	day, week := b.state.last(hoursOfDay, now), b.state.last(hoursOfWeek, now)
	s := Signals{
		State: Free, Quality: b.quality(now), Complained: b.complained(now), Tier: tiers()[b.state.Tier].name, Limit: b.limit(), OthersHeld: b.rules.OthersHeld,
		FirstContacts: day.First, Reached: h.Reached, Delivered: week.Delivered, Undelivered: week.Undelivered,
		Blocks: week.Blocks, SpamReports: week.Reports, OthersFirst: b.rules.Others, Silents: b.rules.Silent,
	}
	if now.Before(b.state.Until) {
		s.Until = b.state.Until
	}
	_, held := b.held(now)
	switch {
	case b.rules.Exempt:
		s.State = Exempt
	case !b.rules.Enforce:
		s.State = Off
	case held:
		s.State = Held
	case !b.slowed.IsZero() && now.Sub(b.slowed) < slowedTime && b.limit() > 0:
		s.State = Slowed
	}
	if !b.enforces() {
		s.Tier, s.Limit = Unlimited, 0
	}
	return s
}

// Rounded is how many first contacts are told outside the relay: rounded up to tenths of the limit, so that it changes seldom.
func (s Signals) Rounded() int64 {
	step := max(s.Limit/10, 1)
	if s.Limit == 0 {
		step = 1000
	}
	return (s.FirstContacts + step - 1) / step * step
}

// OwnHold says whether it is this relay that is held, and not only because another is.
func (s Signals) OwnHold() bool { return s.State == Held && (!s.Until.IsZero() || s.Complained) }
