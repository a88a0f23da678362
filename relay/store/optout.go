package store

import (
	"encoding/hex"
	"time"

	"github.com/relaykeep/relaykeep/relay/phone"
)

const (
	purposeOptOut = "opt-out"
	settingOptOut = "opt-out " // begins the names of the settings that are opt-outs
)

// Who asked the business to stop must stay known for longer than messages are kept. So an opt-out is a setting, and outlives the
// customer's row: its name ends with an HMAC of the number under a settings key, so that one whom the business names can be
// looked up, and nobody can be listed. Erasing the person removes it.

// OptedOut returns when somebody asked the business to stop; the zero time if they did not.
func (t *Tx) OptedOut(n phone.Number) (time.Time, error) {
	for _, key := range t.shared.settings.Live() {
		name, err := t.optOutName(key.ID, n)
		if err != nil {
			return time.Time{}, err
		}
		value, err := t.Setting(name)
		if err != nil || value == nil {
			if err != nil {
				return time.Time{}, err
			}
			continue
		}
		r := newReader(value)
		at := fromMillis(r.integer())
		return at, r.done()
	}
	return time.Time{}, nil
}

// PutOptOut notes when somebody asked the business to stop; the zero time removes that.
func (t *Tx) PutOptOut(n phone.Number, at time.Time) error {
	if err := t.allow(!n.IsZero()); err != nil {
		return err
	}
	keys := t.shared.settings.Live()
	for _, key := range keys {
		name, err := t.optOutName(key.ID, n)
		if err == nil {
			err = t.PutSetting(name, nil)
		}
		if err != nil {
			return err
		}
	}
	if at.IsZero() || len(keys) == 0 {
		return nil
	}
	name, err := t.optOutName(keys[0].ID, n)
	if err != nil {
		return err
	}
	return t.PutSetting(name, newWriter(10).integer(toMillis(at)).b)
}

func (t *Tx) optOutName(key int64, n phone.Number) (string, error) {
	mac, err := t.shared.settings.Lookup(key, purposeOptOut, []byte(n.Key()))
	return settingOptOut + hex.EncodeToString(mac[:16]), err
}
