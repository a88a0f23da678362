package signal

import (
	"fmt"
	"log/slog"
	"slices"
	"time"
)

const (
	// MaxArchived is how many sessions a record keeps in addition to the current one.
	MaxArchived = 16
	// ArchivedLifetime is how long a session stays after it stopped being current.
	ArchivedLifetime = 30 * 24 * time.Hour
)

// Record holds the sessions with one device of a peer: the current one, in which
// Encrypt works, and archived ones, in which messages may still arrive; such a
// message makes its session the current one again. All are of one format. A Record is immutable, and
// safe for concurrent use. A nil *Record is one without sessions. It prints as
// "[session record]".
type Record struct {
	_        incomparable
	format   Format
	current  *session // nil when there is none to encrypt in
	archived []*session
}

// as returns the record if it is of that format, and otherwise an empty one.
func (r *Record) as(f Format) *Record {
	if r == nil || r.format != f {
		return &Record{format: f}
	}
	return r
}

// HasSession reports whether there is a current session to encrypt in.
func (r *Record) HasSession() bool { return r != nil && r.current != nil }

// HasSessionAs reports whether there is a current session to encrypt in with the given identity.
// After our identity changed, the sessions of the former one do not count.
func (r *Record) HasSessionAs(l Local) bool {
	return r.HasSession() && r.current.local.Equal(l.Identity.key.public)
}

// Identity returns the peer's identity key in the current session, and whether
// there is one.
func (r *Record) Identity() (IdentityKey, bool) {
	if !r.HasSession() {
		return IdentityKey{}, false
	}
	return IdentityKey{p: r.current.remote}, true
}

// Answered reports whether the peer is known to have the current session. If we began the session,
// that is known once the first message arrives in it.
func (r *Record) Answered() bool { return r.HasSession() && !r.current.initiated }

// Discard returns the record without a current session, so that Encrypt requires a new one
// (ErrNoSession). It is for a peer that says it cannot decrypt. Messages that still arrive in the
// old session can be decrypted.
func (r *Record) Discard(now time.Time) *Record { return r.successor(nil, nil, now) }

// Destroy zeroes what r holds and next, its successor, does not. It is for a caller that keeps
// records in memory, once next is stored and r is no longer used. A nil next zeroes everything.
func (r *Record) Destroy(next *Record) {
	kept := map[*session]bool{}
	chains := map[*skippedKey]bool{}
	for _, s := range next.all() {
		kept[s] = true
		for i := range s.receive {
			if skipped := s.receive[i].skipped; len(skipped) > 0 {
				chains[&skipped[0]] = true
			}
		}
	}
	for _, s := range r.all() {
		if kept[s] {
			continue
		}
		for i := range s.receive {
			if skipped := s.receive[i].skipped; len(skipped) > 0 && !chains[&skipped[0]] {
				clear(skipped)
			}
		}
		*s = session{send: sendChain{due: true}}
	}
}

// Format implements fmt.Formatter for every verb.
func (r Record) Format(f fmt.State, _ rune) { redact(f, "[session record]") }

// LogValue implements slog.LogValuer.
func (r Record) LogValue() slog.Value { return slog.StringValue("[session record]") }

// all returns the sessions, the current one first.
func (r *Record) all() []*session {
	switch {
	case r == nil:
		return nil
	case r.current == nil:
		return r.archived
	default:
		return append([]*session{r.current}, r.archived...)
	}
}

// moved returns a record in which the session next replaces the current one. It is a shortcut for
// successor when nothing else changes.
func (r *Record) moved(next *session) *Record {
	return &Record{format: r.format, current: next, archived: r.archived}
}

// successor returns a record with current as the current session. It removes replaced, a session of
// r or nil, archives the session that was current, and enforces the bounds on number and age.
func (r *Record) successor(current, replaced *session, now time.Time) *Record {
	next := &Record{current: current}
	if r != nil {
		next.format = r.format
	}
	cutoff := now.Add(-ArchivedLifetime).Unix()
	for _, s := range r.all() {
		switch {
		case s == replaced:
			continue
		case s == r.current:
			s = new(*s)
			s.archived = now.Unix()
		case s.archived < cutoff:
			continue
		}
		if len(next.archived) < MaxArchived {
			next.archived = append(next.archived, s)
		}
	}
	if current != nil && current.archived != 0 {
		current.archived = 0
	}
	return next.bounded(now)
}

// bounded returns r, or a copy of it with no skipped key that is too old and at most MaxSkipped of
// them. The sessions that were archived first lose theirs first.
func (r *Record) bounded(now time.Time) *Record {
	excess := -MaxSkipped
	next := r.replaced(func(s *session) *session {
		s = s.expireSkipped(now)
		excess += s.countSkipped()
		return s
	})
	if excess <= 0 {
		return next
	}
	return next.replaced(func(s *session) *session {
		n := min(s.countSkipped(), excess)
		if n <= 0 {
			return s
		}
		excess -= n
		return s.dropSkipped(n)
	})
}

// replaced returns r with f applied to each session, the oldest first; r itself
// when f changes none.
func (r *Record) replaced(f func(*session) *session) *Record {
	next := r
	for i := len(r.archived) - 1; i >= 0; i-- {
		s := f(r.archived[i])
		if s == r.archived[i] {
			continue
		}
		if next == r {
			next = &Record{format: r.format, current: r.current, archived: slices.Clone(r.archived)}
		}
		next.archived[i] = s
	}
	if r.current == nil {
		return next
	}
	if s := f(r.current); s != r.current {
		next = next.moved(s)
	}
	return next
}
