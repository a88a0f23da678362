package contract

import "time"

// UsagePath is where the status port says how much the business uses. The parameters "since" and "until" are its first
// and last day, as UsageDay.Day; without them it tells all days that are kept.
const UsagePath = "/usage"

// MaxUsageBytes is the largest answer at UsagePath: 396 days with every count.
const MaxUsageBytes = 2 << 20

// UsageVersion is the version of Usage that this build writes.
const UsageVersion = 1

// DayLayout is how a day is written (package time).
const DayLayout = "2006-01-02"

// Usage says how much a business used. It names nobody: counts are multiples of Step, change at most once an hour, and
// are left out where they would be less than Step.
type Usage struct {
	Version int `json:"version"`
	// Step is what counts are multiples of, ByteStep what bytes are.
	Step     int64 `json:"step"`
	ByteStep int64 `json:"byteStep"`
	// Until is up to when the relay has counted.
	Until time.Time  `json:"until"`
	Days  []UsageDay `json:"days"`
}

// UsageDay is the usage of one day, UTC.
type UsageDay struct {
	Day      string       `json:"day"`
	Messages []UsageCount `json:"messages"`
	// MediaBytes are those of the files of these messages.
	MediaBytes UsageBytes `json:"mediaBytes"`
	// Customers is with how many customers there were messages; nil while the day is not over.
	Customers *int64 `json:"customers,omitempty"`
}

// UsageCount counts messages of one kind.
type UsageCount struct {
	Direction string `json:"direction"` // in or out
	Kind      string `json:"kind"`
	Count     int64  `json:"count"`
}

// UsageBytes are bytes by direction.
type UsageBytes struct {
	In  int64 `json:"in"`
	Out int64 `json:"out"`
}
