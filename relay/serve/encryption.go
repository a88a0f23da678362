package serve

import (
	"fmt"

	"github.com/relaykeep/relaykeep/relay/jwe"
)

// encryption is the encryption of payloads between the relay and its business.
type encryption struct {
	business *jwe.Recipient
}

// payloadEncryption returns nil when the business does not ask for it.
func (r *relay) payloadEncryption() (*encryption, error) {
	if r.cfg.PayloadEncryption == nil {
		return nil, nil
	}
	business, err := jwe.NewRecipient(r.cfg.PayloadEncryption.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("payloadEncryption.publicKey %w", err)
	}
	return &encryption{business: business}, nil
}
