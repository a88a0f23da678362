// Package clock is the relay's clock. In release builds it is the machine's and
// nothing can shift it; builds with the tag "testclock", which are never released,
// shift it by the environment's RELAYKEEP_CLOCK_OFFSET so that tests need not wait
// for a retention to pass. The package knows nothing of what the time is used for.
package clock

import "time"

// Now returns the machine's time, shifted by Offset.
func Now() time.Time { return time.Now().Add(Offset()) }
