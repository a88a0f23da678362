package webhook

import "time"

// TriedFor is how long the delivery of a webhook is tried, for a retention. Afterwards it is a
// dead letter.
func TriedFor(retention time.Duration) time.Duration { return min(giveUp, retention) }
