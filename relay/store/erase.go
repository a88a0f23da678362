package store

// EraseCustomer removes a customer with everything that belongs to them: devices, sessions,
// messages in both directions and jobs, by the foreign keys of their tables. What is deleted
// is overwritten in the database. It returns ErrNotFound when there is no such customer. The
// HMACs of received ciphertexts stay, so that no old ciphertext can be replayed: without the
// ciphertext they say nothing. Call Scrub after the commit.
func (t *Tx) EraseCustomer(id CustomerID) error {
	if err := t.allow(id != 0); err != nil {
		return err
	}
	if err := t.eachSession(`WHERE customer = ?`, t.change.subtract, int64(id)); err != nil {
		return err
	}
	n, err := t.run(`DELETE FROM customers WHERE id = ?`, int64(id))
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	t.kept, t.session, t.device = 0, nil, 0
	return err
}

// EraseSome removes as many messages and jobs of a customer as one transaction should; more
// says that there are others. If EraseCustomer is called after it, no transaction exceeds the
// volume's reserve, however much is stored about the customer.
func (t *Tx) EraseSome(id CustomerID) (more bool, err error) {
	if err := t.allow(id != 0); err != nil {
		return false, err
	}
	n, err := t.deleteSome(`DELETE FROM messages WHERE row = ?`,
		`SELECT row, length(sealed), customer FROM messages WHERE customer = ? LIMIT ?`, int64(id), int64(sweepBatch))
	if err != nil || n > 0 {
		return err == nil, err
	}
	n, err = t.deleteSome(textFinish,
		`SELECT id, length(sealed), customer FROM jobs WHERE customer = ? LIMIT ?`, int64(id), int64(sweepBatch))
	return err == nil && n > 0, err
}
