package message

import (
	"sync"
	"time"
)

// linkProbe is how soon after the link was found to be down it is tried again even
// though the carrier did not say that it is up.
const linkProbe = 5 * time.Second

// link is what is known of the carrier's link. It saves attempts that cannot
// succeed; it may be wrong either way.
type link struct {
	mu sync.Mutex
	// ups counts how often the link came up: an attempt that fails because of the
	// link before says nothing about this one.
	ups  int
	down time.Time // when it was found to be down; zero while it is up
}

// connected notes that the link is up.
func (l *link) connected() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ups++
	l.down = time.Time{}
}

// now names the present link, for failed.
func (l *link) now() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ups
}

// failed notes that the link of that name was found to be down, and has it probed
// later.
func (l *link) failed(name int, probe func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if name != l.ups {
		return
	}
	if l.down.IsZero() || time.Since(l.down) >= linkProbe {
		l.down = time.Now()
		time.AfterFunc(linkProbe, probe)
	}
}

// usable says whether an attempt is worth while.
func (l *link) usable() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ups > 0 && (l.down.IsZero() || time.Since(l.down) >= linkProbe)
}
