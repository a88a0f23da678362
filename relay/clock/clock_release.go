//go:build !testclock

package clock

import "time"

// Shiftable says whether this build's clock can be shifted: never in a release.
const Shiftable = false

// Offset returns by how much the clock is shifted: nothing.
func Offset() time.Duration { return 0 }
