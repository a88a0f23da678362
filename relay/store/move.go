package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/relaykeep/relaykeep/relay/seal"
)

// mover is a wrapper whose key moved to another place. A key in Vault can be neither renamed
// nor copied, so what the old key wrapped has to be sealed again.
type mover interface {
	// Outdated reports whether a data key was wrapped in the former place. It can
	// still be unwrapped there.
	Outdated(wrapped string) bool
}

// moveSettings seals the settings and the sum under a new data key, once, when the present one
// was wrapped by the key in the former place. It does so in one transaction: after a crash one
// of the two keys opens all settings. If the volume is full or a setting cannot be opened,
// everything stays as it is, and a later Open tries again. The same is true when the rows do
// not match their sum, which a new sum would hide.
func (s *Store) moveSettings(ctx context.Context) error {
	former := s.settings.Live()
	if s.outdated == nil || s.tampered.Load() ||
		!slices.ContainsFunc(former, func(e seal.Epoch) bool { return s.outdated(e.Wrapped) }) {
		return nil
	}
	e, err := s.settings.Next(ctx)
	if err != nil {
		return fmt.Errorf("moving the settings: %w", err)
	}
	// What is sealed before the key is recorded becomes durable with it or not at all.
	if err := s.settings.Adopt(e.ID); err != nil {
		return fmt.Errorf("moving the settings: %w", err)
	}
	sumKey := s.sumKey
	if err := s.Update(ctx, func(t *Tx) error { return t.moveSettings(e) }); err != nil {
		s.sumKey = sumKey
		s.settings.Forget(e.ID)
		_, loadErr := s.settings.Load(ctx, former) // makes the former key current again
		if loadErr == nil && (errors.Is(err, ErrFull) || errors.Is(err, seal.ErrTampered)) {
			return nil
		}
		return fmt.Errorf("moving the settings: %w", errors.Join(err, loadErr))
	}
	for _, old := range former {
		s.settings.Forget(old.ID)
	}
	return nil
}

// moveSettings seals every setting, the log and the sum under the key e, which becomes the
// only one.
func (t *Tx) moveSettings(e seal.Epoch) error {
	_, err := t.run(`INSERT INTO settings_keys (id, wrapped, created) VALUES (?, ?, ?)`, e.ID, e.Wrapped, toMillis(e.Created))
	if err != nil {
		return err
	}
	names, err := t.settingNames()
	if err != nil {
		return err
	}
	for _, name := range names {
		value, err := t.Setting(name)
		if err != nil {
			return err
		}
		err = t.PutSetting(name, value)
		clear(value)
		if err != nil {
			return err
		}
	}
	if err := t.moveLog(e.ID); err != nil {
		return err
	}
	if _, err := t.run(`DELETE FROM settings_keys WHERE id <> ?`, e.ID); err != nil {
		return err
	}
	return t.moveSum(e.ID)
}

func (t *Tx) settingNames() (names []string, err error) {
	err = t.rows(`SELECT name FROM settings ORDER BY name`, func(r row) error {
		name, err := r.text(0)
		names = append(names, name)
		return err
	})
	return names, err
}

// moveSum computes the sum under another key and writes it.
func (t *Tx) moveSum(key int64) error {
	t.shared.sumKey = key
	var total sum
	if err := errors.Join(t.eachSession("", total.add), t.eachPreKey("", total.add), t.eachBase("", total.add)); err != nil {
		return err
	}
	t.change = total
	t.change.subtract(t.shared.total)
	return t.writeSum(total)
}
