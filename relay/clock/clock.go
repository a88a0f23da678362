// Package clock is the relay's clock. In release builds it is the machine's clock and nothing can
// shift it. Builds with the tag "testclock", which are never released, shift it by
// RELAYKEEP_CLOCK_OFFSET from the environment, so that tests need not wait for a retention to
// pass. The package must not know what the time is used for.
package clock

import "time"

// Now returns the machine's time, shifted by Offset.
func Now() time.Time { return time.Now().Add(Offset()) }
