package contract

// IntegrityFile is the file of IntegrityDir, and its key in the relay's ConfigMap. Unlike the configuration it changes while
// the relay runs.
const IntegrityFile = "integrity.json"

// MaxIntegrityBytes is the largest integrity file that a relay reads.
const MaxIntegrityBytes = 4 << 10

// IntegrityVersion is the version of Integrity that this build writes and reads.
const IntegrityVersion = 1

// Values of Integrity.Limits.
const (
	LimitsEnforced = "Enforced" // first contacts are limited
	LimitsOff      = "Off"      // they are counted only
	LimitsExempt   = "Exempt"   // they are counted only, because a cluster admin exempted the relay
)

// MaxNamespaceRelays bounds Integrity.Relays and Integrity.Silent.
const MaxNamespaceRelays = 1 << 20

// MaxFirstContacts bounds counts of first contacts.
const MaxFirstContacts = 1 << 40

// Integrity is what holds for a relay's first contacts, JSON. It says nothing about any customer.
type Integrity struct {
	Version int    `json:"version"`
	Limits  string `json:"limits"`
	// Relays is how many relays the namespace has, rounded up to a power of two: each has its part of what may be done
	// at once.
	Relays int64 `json:"relays"`
	// Others is how many first contacts of a day the namespace's other relays have reported.
	Others int64 `json:"others"`
	// Silent is how many of them run and do not answer the operator: each counts as having used its part.
	Silent int64 `json:"silent,omitempty"`
	// OthersHeld says that another of them is held.
	OthersHeld bool `json:"othersHeld,omitempty"`
	// YellowPercent and RedPercent are the shares of undelivered messages at which quality drops; 0 for 5 and 15.
	YellowPercent int64 `json:"yellowPercent,omitempty"`
	RedPercent    int64 `json:"redPercent,omitempty"`
}

// IntegrityStatus is what a relay says of its own conduct, in Status.
type IntegrityStatus struct {
	// FirstContacts is how many strangers it wrote to within a day, rounded up.
	FirstContacts int64 `json:"firstContacts"`
	// DailyLimit is how many it may write to in a day; 0 for no limit.
	DailyLimit int64 `json:"dailyLimit,omitempty"`
	// Held says that its own conduct makes it write to no stranger.
	Held bool `json:"held,omitempty"`
}
