package stream

import (
	"sync"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
)

// resumeWait is how long those who sent something wait for the link to be resumed before they
// are told that it is unconfirmed.
const resumeWait = 30 * time.Second

// Stream is what a broken link leaves to the next one: what we sent and the server has not
// acknowledged, and how much of what arrived is handled. Make one with New. Its methods are
// safe for concurrent use.
type Stream struct {
	slots chan struct{} // room for what waits for an acknowledgement or an answer

	mu     sync.Mutex
	link   *Link // guarded by mu, as all below; nil while there is none
	counts management
	id     string      // for resumption; empty means that there is none
	timer  *time.Timer // for resumeWait, while there is no link
}

// New makes a stream that no server knows.
func New() *Stream { return &Stream{slots: make(chan struct{}, maxUnconfirmed)} }

// Begin begins a new stream, which the server resumes under that id; it resumes none when the
// id is empty. Whatever waits for the previous stream fails with carrier.ErrUnconfirmed.
func (s *Stream) Begin(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.discard()
	s.id = id
}

// Attach sends on that link from now on.
func (s *Stream) Attach(l *Link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.link = l
	s.stopTimer()
}

// Detach removes the link. The stream stays for as long as it may be resumed.
func (s *Stream) Detach() {
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

// End forgets the stream, and fails whatever waits for it.
func (s *Stream) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.discard()
	s.stopTimer()
}

// discard forgets the stream, and fails whatever waits for it. The caller holds s.mu.
func (s *Stream) discard() {
	s.id = ""
	s.counts.reset(carrier.ErrUnconfirmed)
}

func (s *Stream) stopTimer() {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
}

// Counts are a stream's counts of stanzas, modulo 2^32.
type Counts struct {
	Sent      uint32 // by us
	Confirmed uint32 // of those, acknowledged by the server
	Handled   uint32 // of the server's stanzas, handled by us
}

// Counts returns the stream's counts.
func (s *Stream) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Counts{
		Sent:      s.counts.confirmed + uint32(len(s.counts.unconfirmed)),
		Confirmed: s.counts.confirmed, Handled: s.counts.handled,
	}
}
