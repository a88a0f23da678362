package peers

import (
	"sync"
	"time"
)

// LinkProbe is how long after the link was found to be down it is tried again, even if the
// carrier did not say that it is up.
const LinkProbe = 5 * time.Second

// linkState is what is known about the carrier's link. It saves attempts that cannot succeed.
// It may be wrong in either direction.
type linkState struct {
	mu sync.Mutex
	// ups counts how often a link came up: an attempt that fails because of the link before
	// says nothing about this one.
	ups  int
	down time.Time // when the link was found to be down; zero while it is up
	up   time.Time // when the present link came up
	// caughtUp says that everything that the carrier had kept was read, on this link or on one
	// whose stream it resumed.
	caughtUp bool
}

// settleTime is how long a link must have been up to be sure that everything has arrived that
// the carrier kept while there was none.
const settleTime = 10 * time.Minute

// connected notes that a link came up; resumed says that it resumed the stream of the link
// before.
func (l *linkState) connected(resumed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ups++
	l.down, l.up = time.Time{}, time.Now()
	l.caughtUp = l.caughtUp && resumed
}

// caught notes that everything that the carrier had kept was read.
func (l *linkState) caught() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.caughtUp = true
}

// current says whether everything that was sent to us until a moment ago has been read. It is
// for a caller that has just got an answer on the link.
func (l *linkState) current() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.caughtUp && time.Since(l.up) >= settleTime
}

// now names the present link, for failed.
func (l *linkState) now() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ups
}

// failed notes that the link of that name was found to be down, and calls probe later.
func (l *linkState) failed(name int, probe func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if name != l.ups {
		return
	}
	if l.down.IsZero() || time.Since(l.down) >= LinkProbe {
		l.down = time.Now()
		time.AfterFunc(LinkProbe, probe)
	}
}

// usable says whether an attempt is worthwhile.
func (l *linkState) usable() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ups > 0 && (l.down.IsZero() || time.Since(l.down) >= LinkProbe)
}
