package peers

import (
	"sync"
	"time"
)

// LinkProbe is how soon after the link was found to be down it is tried again even
// though the carrier did not say that it is up.
const LinkProbe = 5 * time.Second

// link is what is known of the carrier's link. It saves attempts that cannot
// succeed; it may be wrong either way.
type linkState struct {
	mu sync.Mutex
	// ups counts how often the link came up: an attempt that fails because of the
	// link before says nothing about this one.
	ups  int
	down time.Time // when it was found to be down; zero while it is up
	up   time.Time // when the present one came up
	// caughtUp says that what the carrier had kept was read, on this link or on one
	// whose session it goes on with.
	caughtUp bool
}

// settleTime is how long a link has been up that has surely brought what the carrier
// held back while there was none.
const settleTime = 10 * time.Minute

// connected notes that the link is up; resumed says that it goes on with the session of
// the one before.
func (l *linkState) connected(resumed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ups++
	l.down, l.up = time.Time{}, time.Now()
	l.caughtUp = l.caughtUp && resumed
}

// caught notes that everything was read that the carrier had kept.
func (l *linkState) caught() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.caughtUp = true
}

// current says whether everything has been read that was sent to us until a moment ago,
// for a caller that just had an answer on the link.
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

// failed notes that the link of that name was found to be down, and has it probed
// later.
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

// usable says whether an attempt is worth while.
func (l *linkState) usable() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ups > 0 && (l.down.IsZero() || time.Since(l.down) >= LinkProbe)
}
