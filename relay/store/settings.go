package store

import "errors"

const purposeSetting = "setting"

// Setting returns a small value of the relay's own; nil when there is none.
func (t *Tx) Setting(name string) (value []byte, err error) {
	var epoch int64
	var sealed []byte
	found, err := t.first(`SELECT epoch, sealed FROM settings WHERE name = ?`, func(r row) (err error) {
		if epoch, err = r.integer(0); err != nil {
			return err
		}
		sealed, err = r.bytes(1)
		return err
	}, name)
	if err != nil || !found {
		return nil, err
	}
	value, err = t.open(epoch, purposeSetting, []byte(name), sealed)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return value, err
}

// PutSetting writes a value, at most MaxBody bytes; nil removes it. The name is
// readable without a key. Settings are carried into every new epoch.
func (t *Tx) PutSetting(name string, value []byte) error {
	if err := t.allow(identifier(name), len(value) <= MaxBody); err != nil {
		return err
	}
	if value == nil {
		_, err := t.run(`DELETE FROM settings WHERE name = ?`, name)
		return err
	}
	epoch, sealed, err := t.store.keys.Seal(purposeSetting, []byte(name), value)
	if err != nil {
		return err
	}
	_, err = t.run(`INSERT INTO settings (name, epoch, sealed) VALUES (?, ?, ?)
		ON CONFLICT (name) DO UPDATE SET epoch = excluded.epoch, sealed = excluded.sealed`, name, epoch, sealed)
	return err
}

// renewSettings moves settings of older epochs into the current one.
func (t *Tx) renewSettings(current int64) error {
	var names []string
	err := t.rows(`SELECT name FROM settings WHERE epoch < ?`, func(r row) error {
		name, err := r.text(0)
		names = append(names, name)
		return err
	}, current)
	if err != nil {
		return err
	}
	for _, name := range names {
		value, err := t.Setting(name)
		if err != nil {
			return err
		}
		if err := t.PutSetting(name, value); err != nil { // removes what is erased
			return err
		}
	}
	return nil
}
