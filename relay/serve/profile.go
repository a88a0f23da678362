package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/relaykeep/relaykeep/relay/cloudapi"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
)

// settingProfile is the store's setting that holds what the business said about itself.
const settingProfile = "profile"

// profiles gives the HTTP interface access to what the business said about itself.
type profiles struct{ store message.Store }

// Profile implements cloudapi.Profiles. One that is damaged is as good as none.
func (s profiles) Profile(ctx context.Context) (p cloudapi.Profile, err error) {
	var kept []byte
	err = s.store.View(ctx, func(tx *store.Tx) (err error) {
		kept, err = tx.Setting(settingProfile)
		return err
	})
	if errors.Is(err, seal.ErrTampered) || len(kept) == 0 && err == nil {
		return p, nil
	}
	if err != nil {
		return p, translate(err)
	}
	if err := json.Unmarshal(kept, &p); err != nil {
		return cloudapi.Profile{}, fmt.Errorf("reading the profile: %w", err)
	}
	return p, nil
}

// PutProfile implements cloudapi.Profiles.
func (s profiles) PutProfile(ctx context.Context, p cloudapi.Profile) error {
	kept, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encoding the profile: %w", err)
	}
	return translate(s.store.Update(ctx, func(tx *store.Tx) error { return tx.PutSetting(settingProfile, kept) }))
}
