package outbound

import (
	"time"

	"github.com/relaykeep/relaykeep/relay/message/internal/base"
)

// How the outbox tries.
const (
	lastRetry = time.Minute
	// maxAttempts is after how many failures, those of the link not counted, a job
	// is given up: with the back-off above, after about a quarter of an hour.
	maxAttempts = 20
	// fullPause is how long a job waits for room on the volume.
	fullPause = 30 * time.Second
)

// retryAfter is how long to wait after a number of failures before the last.
func retryAfter(failures int) time.Duration {
	return min(base.FirstRetry<<min(failures, 10), lastRetry)
}
