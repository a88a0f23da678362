package store

import "errors"

// History returns at most limit of a customer's messages in both directions, oldest first:
// those written after the one with the given ID, or from the first when the ID is empty. It
// returns ErrNotFound when the customer has no such message.
func (t *Tx) History(c CustomerID, after string, limit int) ([]Message, error) {
	var from int64
	if after != "" {
		s, err := t.findMessage(`WHERE id = ?`, after)
		if err == nil && s.customer != int64(c) {
			err = ErrNotFound
		}
		if err != nil {
			return nil, err
		}
		from = s.row
	}
	messages := make([]Message, 0, min(limit, 64))
	err := t.rows(`SELECT `+messageColumns+` FROM messages WHERE customer = ? AND row > ? ORDER BY row`, func(r row) error {
		var s sealedMessage
		if err := s.scan(r); err != nil {
			return err
		}
		m, err := t.openMessage(s)
		if errors.Is(err, ErrNotFound) {
			return nil // its key died
		}
		if err != nil {
			return err
		}
		messages = append(messages, m)
		if len(messages) >= limit {
			return errEnough
		}
		return nil
	}, int64(c), from)
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	return messages, nil
}
