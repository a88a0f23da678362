package stream

import (
	"sync"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
)

// resumeWait is how long those who sent something wait for a link to come back
// before they are told that it is unconfirmed.
const resumeWait = 30 * time.Second

// Session is what a broken link leaves behind for the next one: what was sent and is not
// acknowledged, and how much of what arrived is stored. Make one with NewSession. Its methods
// are safe for concurrent use.
type Session struct {
	slots chan struct{} // room for what waits for an acknowledgement or an answer

	mu     sync.Mutex
	link   *Link // guarded by mu, as all below; nil while there is none
	counts management
	id     string      // for resumption; empty means that there is none
	timer  *time.Timer // for resumeWait, while there is no link
}

// NewSession makes a session that no server knows.
func NewSession() *Session { return &Session{slots: make(chan struct{}, maxUnconfirmed)} }

// Begin makes it a new session, which the server resumes under that id; empty means that
// it does not. What waits for the former one fails with carrier.ErrUnconfirmed.
func (s *Session) Begin(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.discard()
	s.id = id
}

// Attach has what is sent go to the link.
func (s *Session) Attach(l *Link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.link = l
	s.stopTimer()
}

// Detach takes the link away. The session stays for as long as it may be resumed.
func (s *Session) Detach() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.link = nil
	if s.id == "" {
		s.discard()
		return
	}
	s.stopTimer()
	s.timer = time.AfterFunc(resumeWait, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.link == nil {
			s.counts.giveUp(carrier.ErrUnconfirmed)
		}
	})
}

// End forgets the session and leaves nothing waiting.
func (s *Session) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.discard()
	s.stopTimer()
}

// discard forgets the session: what waits for it fails. s.mu is held.
func (s *Session) discard() {
	s.id = ""
	s.counts.reset(carrier.ErrUnconfirmed)
}

func (s *Session) stopTimer() {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
}

// Counts are a session's counts of stanzas, modulo 2^32.
type Counts struct {
	Sent      uint32 // by us
	Confirmed uint32 // of these, by the server's word
	Handled   uint32 // of the server's, by ours
}

// Counts returns the session's counts.
func (s *Session) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Counts{
		Sent:      s.counts.confirmed + uint32(len(s.counts.unconfirmed)),
		Confirmed: s.counts.confirmed, Handled: s.counts.handled,
	}
}
