package conduct

import "time"

// Day is the time over which first contacts are limited.
const Day = 24 * time.Hour

// tier is how many strangers a business may write to a day, and what the Cloud API calls that ("Messaging limits").
type tier struct {
	name  string
	limit int64 // 0: none
}

// tiers returns all, the lowest first.
func tiers() []tier {
	return []tier{{"TIER_250", 250}, {"TIER_2K", 2_000}, {"TIER_10K", 10_000}, {"TIER_100K", 100_000}, {Unlimited, 0}}
}

// Unlimited is the tier without a limit.
const Unlimited = "TIER_UNLIMITED"

// tierFor returns the lowest tier that lets so many strangers be written to in a day.
func tierFor(contacts int64) int {
	for i, t := range tiers() {
		if t.limit == 0 || contacts <= t.limit {
			return i
		}
	}
	return 0
}

// Quality is how people react to what a business sends, in the Cloud API's words.
type Quality string

// The qualities. Unknown: too little is known.
const (
	Green   Quality = "GREEN"
	Yellow  Quality = "YELLOW"
	Red     Quality = "RED"
	Unknown Quality = "UNKNOWN"
)

// Qualities lists all.
func Qualities() []Quality { return []Quality{Green, Yellow, Red, Unknown} }

// What makes a quality. A share counts only once there are enough to share.
const (
	minOutcomes = 20 // for GREEN
	judgedAt    = 50 // outcomes, from which on the undelivered share counts

	yellowComplaints, yellowComplaintShare = 3, 5  // at least so many, and so many in 1,000 people reached
	redComplaints, redComplaintShare       = 5, 20 // likewise

	defaultYellowPercent, defaultRedPercent = 5, 15 // undelivered, as a DataRegion has them
)

// complained says whether so many of the people reached, in 1,000, and at least so many complained.
func (t tally) complained(least, share int64) bool {
	complaints := t.Blocks + t.Reports
	return complaints >= least && complaints*1000 >= share*t.Reached
}

// quality judges a week: what arrived, and who complained. Of all messages with an outcome, at least the given shares in
// percent must be undelivered.
func quality(week tally, yellow, red int64) Quality {
	outcomes := week.Delivered + week.Undelivered
	missing := func(percent int64) bool { return outcomes >= judgedAt && week.Undelivered*100 >= percent*outcomes }
	switch {
	case week.complained(redComplaints, redComplaintShare), missing(red):
		return Red
	case week.complained(yellowComplaints, yellowComplaintShare), missing(yellow):
		return Yellow
	case outcomes >= minOutcomes:
		return Green
	}
	return Unknown
}
