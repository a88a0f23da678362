package outbound

import (
	"time"

	"github.com/relaykeep/relaykeep/relay/message/internal/base"
)

// How the outbox retries.
const (
	lastRetry = time.Minute
	// maxAttempts is after how many failures, not counting those of the link, a job fails for
	// good: with this back-off, after about a quarter of an hour.
	maxAttempts = 20
	// fullPause is how long a job waits for room on the volume.
	fullPause = 30 * time.Second
	// storePause is how long a job waits for a database that is away.
	storePause = time.Second
)

// retryAfter is how long to wait after a failure that came after so many others.
func retryAfter(failures int) time.Duration {
	return min(base.FirstRetry<<min(failures, 10), lastRetry)
}
