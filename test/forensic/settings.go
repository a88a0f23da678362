package forensic

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/scan"
)

// settingsKeysAreApart holds that root unwraps the settings' data keys, which are to
// outlive every epoch, and that neither of the two keys in transit opens what is the
// other's.
func settingsKeysAreApart(ctx context.Context, c Case, _ string) error {
	return errors.Join(settingsKeysLive(ctx, c), settingsKeyOpensNoEpoch(ctx, c))
}

// settingsKeysLive holds that the settings' key unwraps the settings' data keys, and
// that the wrapping key, which dies by versions, does not.
func settingsKeysLive(ctx context.Context, c Case) error {
	keys, err := SettingsKeys(ctx, c.Copy.Dir)
	if err != nil {
		return err
	}
	var wrong []error
	for _, e := range keys {
		own, err := opensAtAll(ctx, c.Witness.settings(), e)
		if err != nil {
			return err
		}
		other, err := opensAtAll(ctx, c.Witness.wrapping(), e)
		if err != nil {
			return err
		}
		if !own.byVault || !own.byHand || other.byVault || other.byHand {
			wrong = append(wrong, fmt.Errorf("data key %d of the settings: unwrapped by the settings' key: %+v, by the wrapping key: %+v", e.ID, own, other))
		}
	}
	if len(keys) == 0 {
		wrong = append(wrong, errors.New("the copy has no data key of the settings: nothing is proven"))
	}
	return errors.Join(wrong...)
}

// settingsKeyOpensNoEpoch holds that the settings' key unwraps no epoch's data key.
func settingsKeyOpensNoEpoch(ctx context.Context, c Case) error {
	epochs, err := Epochs(ctx, c.Copy.Dir)
	if err != nil {
		return err
	}
	var wrong []error
	for _, e := range epochs {
		opened, err := opensAtAll(ctx, c.Witness.settings(), e)
		if err != nil {
			return err
		}
		if opened.byVault || opened.byHand {
			wrong = append(wrong, fmt.Errorf("epoch %d: the settings' key unwraps its key: %+v", e.ID, opened))
		}
	}
	return errors.Join(wrong...)
}

// ways are how a data key was unwrapped.
type ways struct{ byVault, byHand bool }

func opensAtAll(ctx context.Context, k Key, e Epoch) (w ways, err error) {
	if w.byVault, err = k.Opens(ctx, e); err != nil {
		return w, err
	}
	left, err := k.Material(ctx)
	if err != nil {
		return w, err
	}
	w.byHand, err = OpensWith(left, e)
	return w, err
}

// settingsAreReadable holds that each setting can be read, and says nothing that must
// never be on the volume.
func settingsAreReadable(ctx context.Context, c Case, dir string) (err error) {
	r, err := c.Witness.Restore(ctx, c.Copy, filepath.Join(dir, "settings"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	all, err := r.Settings(ctx)
	if err != nil {
		return err
	}
	scanner, err := scan.New(c.Never...)
	if err != nil {
		return err
	}
	var wrong []error
	for name, value := range all {
		result, err := scanner.Reader("the setting "+name, bytes.NewReader(value))
		if err != nil {
			return err
		}
		for _, f := range result.Findings {
			wrong = append(wrong, errors.New(f.String()))
		}
	}
	if len(all) == 0 {
		wrong = append(wrong, errors.New("the copy has no settings: nothing is proven"))
	}
	return errors.Join(wrong...)
}

// standInsShowNothing puts the settings' data keys in the place of those of the expired
// epochs, and holds that no row of theirs is read by that. The very keys that the
// former wrapping key opens show every one: it is the key alone that is missing.
func standInsShowNothing(ctx context.Context, c Case, dir string) error {
	epochs, err := Epochs(ctx, c.Copy.Dir)
	if err != nil {
		return err
	}
	former := map[string][]byte{}
	for _, e := range epochs {
		if former[e.Wrapped], err = openWith(c.Former, e); err != nil {
			return err
		}
	}
	if err := c.showsExpired(ctx, filepath.Join(dir, "former"), former, true); err != nil {
		return fmt.Errorf("with the former data keys: %w", err)
	}
	keys, err := SettingsKeys(ctx, c.Copy.Dir)
	if err != nil {
		return err
	}
	for _, k := range keys {
		plain, err := c.Witness.settings().Unwrap(ctx, k.Wrapped)
		if err != nil {
			return err
		}
		instead := map[string][]byte{}
		for _, e := range epochs {
			if slices.Contains(c.Expired, e.ID) {
				instead[e.Wrapped] = plain
			}
		}
		if err := c.showsExpired(ctx, filepath.Join(dir, fmt.Sprint("instead", k.ID)), instead, false); err != nil {
			return fmt.Errorf("with data key %d of the settings: %w", k.ID, err)
		}
	}
	return nil
}

// showsExpired holds that all messages and files of expired epochs can be read with data
// keys in the place of theirs, or none.
func (c Case) showsExpired(ctx context.Context, dir string, instead map[string][]byte, want bool) (err error) {
	all, err := rows(ctx, c.Copy.Dir)
	if err != nil {
		return err
	}
	r, err := c.Witness.restoreWith(ctx, c.Copy, dir, standIn{c.Witness.wrapping(), instead})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	var wrong []error
	for _, row := range all {
		if !slices.Contains(c.Expired, row.Epoch) {
			continue
		}
		readable, _, err := r.Reads(ctx, row, "")
		if err != nil {
			return err
		}
		if readable != want {
			wrong = append(wrong, fmt.Errorf("a %s of expired epoch %d can be read: %v, want %v", row.kind, row.Epoch, readable, want))
		}
	}
	return errors.Join(wrong...)
}
