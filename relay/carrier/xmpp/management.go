package xmpp

import (
	"errors"
)

// maxUnacked bounds what waits for the server's acknowledgement: beyond it Send
// waits. Answers that we owe the server pass, up to as many again.
const maxUnacked = 1000

// errBadAck says that the server acknowledged what it was never sent.
var errBadAck = errors.New("xmpp: server acknowledged stanzas that were not sent")

// sent is a stanza that the server has not acknowledged yet.
type sent struct {
	bytes []byte
	// key names a message across calls of Send; empty for anything else.
	key     string
	waiters []chan error // each with room for one
}

func (s *sent) resolve(err error) {
	for _, w := range s.waiters {
		w <- err
	}
	s.waiters = nil
}

// management counts stanzas as XEP-0198 does, modulo 2^32, both ways. It outlives
// links. It is not safe for concurrent use.
type management struct {
	unacked []*sent
	acked   uint32 // the server's count of ours
	handled uint32 // our count of the server's

	// given holds messages that the server acknowledged after their Send had
	// given up, the oldest first, so that sending them again is not needed.
	given []string
}

// push adds a stanza that is about to be written.
func (m *management) push(s *sent) { m.unacked = append(m.unacked, s) }

// find returns the unacknowledged message of that key.
func (m *management) find(key string) *sent {
	for _, s := range m.unacked {
		if s.key == key {
			return s
		}
	}
	return nil
}

// ack takes the server's count h and tells those who wait. It returns how many
// stanzas that settled.
func (m *management) ack(h uint32) (int, error) {
	n := int(h - m.acked) // modulo 2^32
	if n > len(m.unacked) || n < 0 {
		return 0, errBadAck
	}
	for _, s := range m.unacked[:n] {
		if s.key != "" && len(s.waiters) == 0 {
			m.give(s.key)
		}
		s.resolve(nil)
	}
	clear(m.unacked[:n])
	m.unacked = m.unacked[n:]
	m.acked = h
	return n, nil
}

func (m *management) give(key string) {
	if len(m.given) >= maxUnacked {
		m.given = m.given[1:]
	}
	m.given = append(m.given, key)
}

// take reports, once, whether the message was acknowledged after its Send gave up.
func (m *management) take(key string) bool {
	for i, k := range m.given {
		if k == key {
			m.given = append(m.given[:i:i], m.given[i+1:]...)
			return true
		}
	}
	return false
}

// cameBack forgets that a message was sent, so that sending it again does so, whether
// it was acknowledged or is yet to be.
func (m *management) cameBack(key string) {
	m.take(key)
	if s := m.find(key); s != nil {
		s.key = ""
	}
}

// giveUp tells all who wait, but keeps the stanzas for a resumption.
func (m *management) giveUp(err error) {
	for _, s := range m.unacked {
		s.resolve(err)
	}
}

// reset tells all who wait and begins a new count.
func (m *management) reset(err error) {
	m.giveUp(err)
	m.unacked, m.acked, m.handled = nil, 0, 0
}
