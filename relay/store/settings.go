package store

const purposeSetting = "setting"

// Setting returns a small value of the relay or of the business; nil when there is none.
func (t *Tx) Setting(name string) (value []byte, err error) {
	var key int64
	var sealed []byte
	found, err := t.first(`SELECT epoch, sealed FROM settings WHERE name = ?`, func(r row) (err error) {
		if key, err = r.integer(0); err != nil {
			return err
		}
		sealed, err = r.bytes(1)
		return err
	}, name)
	if err != nil || !found {
		return nil, err
	}
	return t.shared.settings.Open(key, purposeSetting, []byte(name), sealed)
}

// PutSetting writes a value, at most MaxBody bytes; nil removes it. The name is
// readable without a key. Settings are sealed under their own key and stay until they
// are removed.
func (t *Tx) PutSetting(name string, value []byte) error {
	if err := t.allow(identifier(name), len(value) <= MaxBody); err != nil {
		return err
	}
	if value == nil {
		_, err := t.run(`DELETE FROM settings WHERE name = ?`, name)
		return err
	}
	key, sealed, err := t.shared.settings.Seal(purposeSetting, []byte(name), value)
	if err != nil {
		return err
	}
	_, err = t.run(`INSERT INTO settings (name, epoch, sealed) VALUES (?, ?, ?)
		ON CONFLICT (name) DO UPDATE SET epoch = excluded.epoch, sealed = excluded.sealed`, name, key, sealed)
	return err
}
