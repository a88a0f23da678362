package postgres

// Trouble says why the writer cannot write at present. The lease is renewed every few seconds, so
// that it is known also while nothing is written.
func (d *DB) Trouble() error {
	if p := d.writer.trouble.Load(); p != nil {
		return *p
	}
	return nil
}

// note remembers how an attempt to reach the database ended, and passes that on.
func (w *writer) note(err error) error {
	if err == nil {
		w.trouble.Store(nil)
	} else {
		w.trouble.Store(&err)
	}
	return err
}
