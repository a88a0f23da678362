package outbound

import (
	"context"
	"sync"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/store"
)

// CustomerTypes counts that a customer began to write. The Cloud API has no webhook for that,
// so the business is not told, and nothing is stored.
func (s *Outbound) CustomerTypes(t carrier.Typing) {
	if t.Composing {
		s.Counts.Add(base.EventTyping)
	}
}

// typingTime is how long "is typing" is shown without an answer (typing
// indicators, Cloud API).
const typingTime = 25 * time.Second

// typing remembers to which customers "is typing" is shown.
type typing struct {
	mu     sync.Mutex
	timers map[store.CustomerID]*time.Timer
}

// beginTyping shows "is typing". A failure is not worth a retry.
func (s *Outbound) beginTyping(ctx context.Context, c store.Customer) {
	if s.Carrier.SendTyping(ctx, c.Number, true) != nil {
		return
	}
	s.typing.mu.Lock()
	defer s.typing.mu.Unlock()
	if s.typing.timers == nil {
		s.typing.timers = map[store.CustomerID]*time.Timer{}
	}
	if t := s.typing.timers[c.ID]; t != nil {
		t.Stop()
	}
	s.typing.timers[c.ID] = time.AfterFunc(typingTime, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), base.AttemptTime)
		defer cancel()
		s.endTyping(ctx, c)
	})
}

// endTyping ends "is typing", if it is shown.
func (s *Outbound) endTyping(ctx context.Context, c store.Customer) {
	s.typing.mu.Lock()
	t := s.typing.timers[c.ID]
	delete(s.typing.timers, c.ID)
	s.typing.mu.Unlock()
	if t != nil {
		t.Stop()
		_ = s.Carrier.SendTyping(ctx, c.Number, false)
	}
}

// forget stops the timer of a customer who was erased.
func (t *typing) forget(id store.CustomerID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if timer := t.timers[id]; timer != nil {
		timer.Stop()
		delete(t.timers, id)
	}
}

// stop stops all timers.
func (t *typing) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, timer := range t.timers {
		timer.Stop()
	}
	t.timers = nil
}
