package stream

// maxUnconfirmed bounds how many stanzas wait for the server's acknowledgement. Beyond that,
// Send waits; answers that we owe the server pass, up to four times as many stanzas.
const maxUnconfirmed = 1000

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

// management counts stanzas in both directions as XEP-0198 does, modulo 2^32. It outlives
// links. It is not safe for concurrent use.
type management struct {
	unconfirmed []*sent
	confirmed   uint32 // the server's count of ours
	handled     uint32 // our count of the server's

	// late holds the keys of messages that the server acknowledged after their Send had given
	// up, the oldest first. They need not be sent again.
	late []string
}

// add notes a stanza that is about to be written.
func (m *management) add(s *sent) { m.unconfirmed = append(m.unconfirmed, s) }

// find returns the unacknowledged message of that key.
func (m *management) find(key string) *sent {
	for _, s := range m.unconfirmed {
		if s.key == key {
			return s
		}
	}
	return nil
}

// confirm notes the server's count h of our stanzas and tells those who wait. It returns how
// many stanzas that confirmed.
func (m *management) confirm(h uint32) (int, error) {
	n := int(h - m.confirmed) // modulo 2^32
	if n > len(m.unconfirmed) || n < 0 {
		return 0, errBadCount
	}
	for _, s := range m.unconfirmed[:n] {
		if s.key != "" && len(s.waiters) == 0 {
			m.addLate(s.key)
		}
		s.resolve(nil)
	}
	clear(m.unconfirmed[:n])
	m.unconfirmed = m.unconfirmed[n:]
	m.confirmed = h
	return n, nil
}

func (m *management) addLate(key string) {
	if len(m.late) >= maxUnconfirmed {
		m.late = m.late[1:]
	}
	m.late = append(m.late, key)
}

// wasLate reports, once, whether the message was acknowledged after its Send gave up.
func (m *management) wasLate(key string) bool {
	for i, k := range m.late {
		if k == key {
			m.late = append(m.late[:i:i], m.late[i+1:]...)
			return true
		}
	}
	return false
}

// cameBack forgets that a message was sent, acknowledged or not, so that another Send really
// sends it again.
func (m *management) cameBack(key string) {
	m.wasLate(key)
	if s := m.find(key); s != nil {
		s.key = ""
	}
}

// giveUp fails all who wait, but keeps the stanzas for a resumption.
func (m *management) giveUp(err error) {
	for _, s := range m.unconfirmed {
		s.resolve(err)
	}
}

// reset fails all who wait and begins a new count.
func (m *management) reset(err error) {
	m.giveUp(err)
	m.unconfirmed, m.confirmed, m.handled = nil, 0, 0
}
