package poll

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// slots bounds how many requests are under way at a time. When all slots are taken,
// the oldest request is cancelled once it has had its grace, so that requests that hang
// cannot keep others waiting longer than that.
type slots struct {
	size  int
	grace time.Duration
	freed chan struct{} // says that a slot may be free

	mu    sync.Mutex // guards the following field
	taken *list.List // of *request, the oldest first
}

// request is one that holds a slot.
type request struct {
	since  time.Time
	cancel context.CancelFunc
}

func newSlots(size int, grace time.Duration) *slots {
	return &slots{size: size, grace: grace, freed: make(chan struct{}, 1), taken: list.New()}
}

// take waits for a slot and returns a context for one request, which ends with ctx or
// when the slot is taken away; false when ctx ended first. Release must be called, and
// gives the slot back.
func (s *slots) take(ctx context.Context) (_ context.Context, release func(), ok bool) {
	for {
		mine, wait := s.tryTake(ctx)
		if mine != nil {
			return mine, func() { s.release(mine) }, true
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx, func() {}, false
		case <-s.freed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// held is a request's context and its place among the slots.
type held struct {
	context.Context //nolint:containedctx // it is the request's own context, handed to the request alone
	place           *list.Element
}

// tryTake takes a slot, or says after which time the oldest request has to give way.
func (s *slots) tryTake(ctx context.Context) (mine *held, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken.Len() >= s.size {
		oldest := requestOf(s.taken.Front())
		if wait := s.grace - time.Since(oldest.since); wait > 0 {
			return nil, wait
		}
		oldest.cancel()
		s.taken.Remove(s.taken.Front())
	}
	ctx, cancel := context.WithCancel(ctx)
	return &held{ctx, s.taken.PushBack(&request{time.Now(), cancel})}, 0
}

func (s *slots) release(h *held) {
	s.mu.Lock()
	requestOf(h.place).cancel()
	s.taken.Remove(h.place) // does nothing when the slot was taken away
	s.mu.Unlock()
	select {
	case s.freed <- struct{}{}:
	default: // waiting requests have been told already
	}
}

func requestOf(e *list.Element) *request {
	r, _ := e.Value.(*request) // nothing else is put into the list
	return r
}
