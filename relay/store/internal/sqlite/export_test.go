package sqlite

// Migrations is how many there are.
func Migrations() (int, error) {
	texts, err := schemas()
	return len(texts), err
}

// MakeEarlier makes the database of a build that had only so many migrations.
func MakeEarlier(f Files, migrations int) error {
	c, err := openConn(f.path(), "journal_mode(WAL)")
	if err != nil {
		return err
	}
	texts, err := schemas()
	if err != nil {
		return err
	}
	for version, text := range texts[:migrations] {
		if err := applyMigration(c, version, text, func() error {
			_, err := c.run(`INSERT INTO meta (key, value) VALUES ('store', ?)`, f.Owner[:])
			return err
		}); err != nil {
			return err
		}
	}
	return c.close()
}
