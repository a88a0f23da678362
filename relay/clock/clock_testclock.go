//go:build testclock

package clock

import (
	"fmt"
	"os"
	"sync"
	"time"
)

// Shiftable says whether this build's clock can be shifted: it can, so this build
// must never be released.
const Shiftable = true

// OffsetVariable is the environment variable that shifts the clock, a Go duration.
const OffsetVariable = "RELAYKEEP_CLOCK_OFFSET"

// Offset returns by how much the clock is shifted, as set when the process started. It panics if
// that is not a duration: a test must not run with a clock that it did not ask for.
func Offset() time.Duration { return offset() }

var offset = sync.OnceValue(func() time.Duration {
	text := os.Getenv(OffsetVariable)
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		panic(fmt.Sprintf("%s: %v", OffsetVariable, err))
	}
	return d
})
