package store

// sealedCustomer is a customer's row as it is stored.
type sealedCustomer struct {
	id     CustomerID
	epoch  int64
	sealed []byte
	// moved says that the row names another epoch than the one whose key found it.
	moved bool
}

func (s *sealedCustomer) scan(r row) error {
	r.numbers((*int64)(&s.id), &s.epoch)
	s.sealed = r.octets(2)
	return nil
}

// sealedMessage is a message's row as it is stored.
type sealedMessage struct {
	row, epoch, customer, direction, created, updated int64
	id, state                                         string
	sealed                                            []byte
	// carrier is the HMAC of the carrier's id, in rows that were written and not read; nil in others.
	carrier []byte
}

const messageColumns = `row, epoch, customer, direction, created, updated, id, state, sealed`

func (s *sealedMessage) scan(r row) error {
	r.numbers(&s.row, &s.epoch, &s.customer, &s.direction, &s.created, &s.updated)
	s.id, s.state, s.sealed = r.words(6), r.words(7), r.octets(8)
	return nil
}

// identity is what the message's value is bound to: every column in the clear.
func (s *sealedMessage) identity() []byte {
	b := rowOf(s.row, s.customer, s.direction, s.created, s.updated)
	w := &writer{b: b}
	return w.text(s.id).text(s.state).b
}
