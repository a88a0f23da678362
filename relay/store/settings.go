package store

import (
	"context"
	"fmt"

	"github.com/relaykeep/relaykeep/relay/seal"
)

const purposeSetting = "setting"

// SettingsKey has w wrap the data key of the settings, which is not replaced from
// period to period: what the business itself wants kept dies only with the tenant.
// Without it the epochs' wrapper does.
func SettingsKey(w seal.Wrapper) Option { return func(o *options) { o.settings = w } }

// openSettings unwraps the settings' data keys and opens one where there is none, or
// where the last has sealed half of what it may.
func (s *Store) openSettings(ctx context.Context) error {
	var keys []seal.Epoch
	err := s.View(ctx, func(t *Tx) (err error) {
		keys, err = t.epochsIn(`SELECT id, created, wrapped FROM settings_keys ORDER BY id`)
		return err
	})
	if err != nil {
		return fmt.Errorf("reading the settings' keys: %w", err)
	}
	erased, err := s.settings.Load(ctx, keys)
	if err != nil {
		return fmt.Errorf("opening the settings: %w", err)
	}
	if len(erased) > 0 {
		return fmt.Errorf("opening the settings: %w", seal.ErrErased)
	}
	if !s.settings.Due() {
		return nil
	}
	e, err := s.settings.Next(ctx)
	if err != nil {
		return fmt.Errorf("opening the settings: %w", err)
	}
	err = s.Update(ctx, func(t *Tx) error {
		_, err := t.run(`INSERT INTO settings_keys (id, wrapped, created) VALUES (?, ?, ?)`, e.ID, e.Wrapped, toMillis(e.Created))
		return err
	})
	if err != nil {
		return fmt.Errorf("recording the settings' key: %w", err)
	}
	return s.settings.Adopt(e.ID)
}

// Setting returns a small value of the relay's or the business's own; nil when there
// is none.
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
	return t.store.settings.Open(key, purposeSetting, []byte(name), sealed)
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
	key, sealed, err := t.store.settings.Seal(purposeSetting, []byte(name), value)
	if err != nil {
		return err
	}
	_, err = t.run(`INSERT INTO settings (name, epoch, sealed) VALUES (?, ?, ?)
		ON CONFLICT (name) DO UPDATE SET epoch = excluded.epoch, sealed = excluded.sealed`, name, key, sealed)
	return err
}
