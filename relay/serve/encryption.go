package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/relaykeep/relaykeep/relay/cloudapi"
	"github.com/relaykeep/relaykeep/relay/jwe"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
)

// settingPayloadKey is the store's record of the private key that decrypts what the business encrypts.
// It is a setting: it has no retention, and is sealed under a key that dies with the tenant.
const settingPayloadKey = "payload-key"

// encryption is the encryption of payloads between the relay and its business.
type encryption struct {
	business *jwe.Recipient
	own      *jwe.Key
}

// payloadEncryption returns nil when the business does not ask for it. It makes the relay's key if
// there is none, or if it is damaged: clients read the public one from the endpoint.
func (r *relay) payloadEncryption(ctx context.Context, s *store.Store) (*encryption, error) {
	if r.cfg.PayloadEncryption == nil {
		return nil, nil
	}
	e := &encryption{}
	var err error
	if e.business, err = jwe.NewRecipient(r.cfg.PayloadEncryption.PublicKey); err != nil {
		return nil, fmt.Errorf("payloadEncryption.publicKey %w", err)
	}
	if e.own, err = r.keptPayloadKey(ctx, s); e.own != nil || err != nil {
		return e, err
	}
	der, err := jwe.NewKey()
	if err != nil {
		return nil, err
	}
	defer clear(der)
	if err := s.Update(ctx, func(tx *store.Tx) error { return tx.PutSetting(settingPayloadKey, der) }); err != nil {
		return nil, fmt.Errorf("storing the key for payload encryption: %w", err)
	}
	r.Log.LogAttrs(ctx, slog.LevelInfo, "made a key for payload encryption")
	e.own, err = jwe.ParseKey(der)
	return e, err
}

// keptPayloadKey returns the key in the store, nil if there is none that can be read.
func (r *relay) keptPayloadKey(ctx context.Context, s *store.Store) (*jwe.Key, error) {
	var der []byte
	err := s.View(ctx, func(tx *store.Tx) (err error) {
		der, err = tx.Setting(settingPayloadKey)
		return err
	})
	defer clear(der)
	switch {
	case err != nil && !errors.Is(err, seal.ErrTampered):
		return nil, fmt.Errorf("reading the key for payload encryption: %w", err)
	case err == nil && der == nil:
		return nil, nil
	}
	if err == nil {
		var key *jwe.Key
		if key, err = jwe.ParseKey(der); err == nil {
			return key, nil
		}
	}
	r.Log.LogAttrs(ctx, slog.LevelError, "the key for payload encryption in the store is damaged; making another")
	return nil, nil
}

// endpoint is the encryption as the endpoint knows it.
func (e *encryption) endpoint() *cloudapi.Encryption {
	if e == nil {
		return nil
	}
	return &cloudapi.Encryption{
		Fingerprint: e.business.Fingerprint(), IsKey: e.business.Is, RelayKey: e.own.Public(),
		Decrypt: e.own.Decrypt, Encrypt: e.business.Encrypt,
	}
}
