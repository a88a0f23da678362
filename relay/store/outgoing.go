package store

import "errors"

// maxLooked bounds how many messages one Outgoing reads.
const maxLooked = 10_000

// Placed is a message and its place in the order in which messages were first written.
type Placed struct {
	Place int64
	Message
}

// Outgoing calls fn for the business's messages from behind a place on, youngest first, or the other way
// round from there with back, until fn returns false. The place 0 is before the youngest. It skips
// messages that cannot be opened. It reads at most 10,000 messages of both directions, returns the
// place that it read to, and says whether there may be more. Fn must not use the transaction.
func (t *Tx) Outgoing(from int64, back bool, fn func(Placed) (more bool)) (to int64, more bool, err error) {
	query := `SELECT ` + messageColumns + ` FROM messages WHERE row < ? ORDER BY row DESC`
	switch {
	case back:
		query = `SELECT ` + messageColumns + ` FROM messages WHERE row > ? ORDER BY row`
	case from == 0:
		from = 1<<63 - 1
	}
	to = from
	looked := 0
	err = t.rows(query, func(r row) error {
		if looked++; looked > maxLooked {
			return errEnough
		}
		var s sealedMessage
		if err := s.scan(r); err != nil {
			return err
		}
		to = s.row
		if Direction(s.direction) != Outbound {
			return nil
		}
		m, err := t.openMessage(s)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err == nil && !fn(Placed{s.row, m}) {
			err = errEnough
		}
		return err
	}, from)
	if errors.Is(err, errEnough) {
		return to, true, nil
	}
	return to, false, err
}

// OutgoingAt returns the business's message at a place, or ErrNotFound.
func (t *Tx) OutgoingAt(place int64) (Message, error) {
	s, err := t.findMessage(`WHERE row = ?`, place)
	if err == nil && Direction(s.direction) != Outbound {
		err = ErrNotFound
	}
	if err != nil {
		return Message{}, err
	}
	return t.openMessage(s)
}

// PlaceOf returns the place of the business's message with an ID, or ErrNotFound.
func (t *Tx) PlaceOf(id string) (int64, error) {
	s, err := t.findMessage(`WHERE id = ?`, id)
	if err == nil && Direction(s.direction) != Outbound {
		err = ErrNotFound
	}
	return s.row, err
}
