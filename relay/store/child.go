package store

// child is a row that belongs to a customer and one of their devices, in the table
// devices or sessions.
type child struct {
	id       int64
	customer CustomerID
	epoch    int64
	lookup   []byte
	sealed   []byte
}

func (c *child) scan(r row) error {
	r.numbers(&c.id, (*int64)(&c.customer), &c.epoch)
	c.lookup, c.sealed = r.octets(3), r.octets(4)
	return nil
}

// row is what the child's value is bound to.
func (c *child) row() []byte { return rowOf(c.id, int64(c.customer)) }

// identity is what a session's row holds in the clear.
func (c *child) identity() []byte {
	w := &writer{b: rowOf(c.id, int64(c.customer), c.epoch)}
	return w.bytes(c.lookup).b
}
