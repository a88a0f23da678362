package forensic

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
)

// Witness is Vault's root, who looks at one relay's keys.
type Witness struct {
	Root *api.Client
	// Wrapping and Settings name the wrapping key and the settings' key, as Key does.
	Wrapping, Settings string
	// Identity is the path of the relay's first identity, which names its store.
	Identity string
}

func (w Witness) wrapping() Key { return Key{w.Root, w.Wrapping} }
func (w Witness) settings() Key { return Key{w.Root, w.Settings} }

// Restored is a copy that was restored beside the relay, and opened as far as root's
// rights go.
type Restored struct {
	store    *store.Store
	ring     *seal.Keyring
	settings *seal.Keyring
	names    []string // of the settings
}

// Restore opens a copy of a copy with the relay's own code. The data keys of a period
// that has passed are not followed by new ones.
func (w Witness) Restore(ctx context.Context, c Copy, to string) (*Restored, error) {
	return w.restoreWith(ctx, c, to, w.wrapping())
}

// restoreWith is Restore with another wrapper of the epochs' data keys.
func (w Witness) restoreWith(ctx context.Context, c Copy, to string, epochs seal.Wrapper) (*Restored, error) {
	beside, err := Take(c.Dir, to)
	if err != nil {
		return nil, err
	}
	id, err := w.storeID(ctx)
	if err != nil {
		return nil, err
	}
	r := &Restored{ring: seal.New(epochs, 365*24*time.Hour, time.Now)}
	r.settings = r.ring.Lasting(w.settings())
	if err := r.loadSettings(ctx, beside); err != nil {
		r.closeRings()
		return nil, err
	}
	if r.store, err = store.Open(ctx, beside.Dir, id, r.ring, store.MustExist(), store.SettingsKey(w.settings())); err != nil {
		r.closeRings()
		return nil, fmt.Errorf("opening the restored copy: %w", err)
	}
	return r, nil
}

// loadSettings reads what is readable of the settings without the store: their names
// and data keys.
func (r *Restored) loadSettings(ctx context.Context, c Copy) (err error) {
	if r.names, err = settings(ctx, c.Dir); err != nil {
		return err
	}
	wrapped, err := SettingsKeys(ctx, c.Dir)
	if err != nil {
		return err
	}
	var keys []seal.Epoch
	for _, e := range wrapped {
		keys = append(keys, seal.Epoch{ID: e.ID, Wrapped: e.Wrapped})
	}
	_, err = r.settings.Load(ctx, keys)
	return err
}

func (w Witness) storeID(ctx context.Context) (id [16]byte, err error) {
	answer, err := w.Root.Logical().ReadWithContext(ctx, w.Identity)
	if err != nil || answer == nil {
		return id, fmt.Errorf("reading the identity: %w", errors.Join(err, os.ErrNotExist))
	}
	fields, _ := answer.Data["data"].(map[string]any)
	text, _ := fields["storeID"].(string)
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) != len(id) {
		return id, errors.New("reading the identity: it names no store")
	}
	return [16]byte(raw), nil
}

// Close closes the restored copy.
func (r *Restored) Close() error {
	defer r.closeRings()
	return r.store.Close()
}

func (r *Restored) closeRings() {
	r.ring.Close()
	r.settings.Close()
}

// Live are the epochs that can be read.
func (r *Restored) Live() []int64 {
	var ids []int64
	for _, e := range r.ring.Live() {
		ids = append(ids, e.ID)
	}
	return ids
}

// Settings returns what the settings say, by their names; an error where one cannot be
// read.
func (r *Restored) Settings(ctx context.Context) (map[string][]byte, error) {
	all := map[string][]byte{}
	err := r.store.View(ctx, func(t *store.Tx) (err error) {
		for _, name := range r.names {
			if all[name], err = t.Setting(name); err != nil {
				return fmt.Errorf("reading the setting %s: %w", name, err)
			}
		}
		return nil
	})
	return all, err
}

// NumberMAC is by what a customer's number is found again in an epoch that lives.
func (r *Restored) NumberMAC(epoch int64, n phone.Number) ([]byte, error) {
	mac, err := r.ring.Lookup(epoch, purposeCustomer, []byte(n.Digits()))
	return mac[:], err
}

// settingsMACs are by what a number would be found again under the settings' data keys.
func (r *Restored) settingsMACs(n phone.Number) (all [][]byte, err error) {
	for _, e := range r.settings.Live() {
		mac, err := r.settings.Lookup(e.ID, purposeCustomer, []byte(n.Digits()))
		if err != nil {
			return nil, err
		}
		all = append(all, mac[:])
	}
	return all, nil
}

// purposeCustomer is the store's word for what customers' numbers are found by.
const purposeCustomer = "customer"
