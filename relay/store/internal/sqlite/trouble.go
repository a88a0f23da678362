package sqlite

// Trouble is nil: files do not come and go, and Full says whether there is room.
func (d *DB) Trouble() error { return nil }
