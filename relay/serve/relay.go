package serve

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/relaykeep/relaykeep/relay/access"
	"github.com/relaykeep/relaykeep/relay/clock"
	"github.com/relaykeep/relaykeep/relay/cloudapi"
	"github.com/relaykeep/relaykeep/relay/conduct"
	"github.com/relaykeep/relaykeep/relay/config"
	"github.com/relaykeep/relaykeep/relay/ledger"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/standby"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/vault"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// relay is the process with all its parts.
type relay struct {
	Options
	cfg   *config.File
	vault *vault.Client
	login *databaseLogin
	door  *standby.Door // nil without other replicas
	// ownAddress is host:port at which other replicas reach this one; empty while it is not known, and without a
	// database.
	ownAddress string
	metrics    *metrics
	state      state
	account    string                // the UID of the service account as which the keys were opened
	clock      *clock.Trusted        // Now reads it
	running    atomic.Pointer[parts] // nil before the keys are there
	move       mover                 // of a relay that moves to another region
}

// retention is how long anything is stored.
func (r *relay) retention() time.Duration {
	return time.Duration(r.cfg.RetentionDays) * 24 * time.Hour
}

// keys are what the relay holds from Vault and the store that they open.
type keys struct {
	identity vault.Identity
	access   vault.Access
	account  *omemo.Account
	former   formerKeys
	ring     *seal.Keyring
	store    *store.Store
	// encryption is that of payloads; nil when the business does not ask for it.
	encryption *encryption
}

// close closes the store, then forgets the keys.
func (k *keys) close(log *slog.Logger) {
	if k.store != nil {
		if err := k.store.Close(); err != nil {
			log.Error("closing the store failed", "error", err)
		}
	}
	if k.ring != nil {
		k.ring.Close()
	}
	for _, a := range []*omemo.Account{k.account, k.former.account} {
		if a != nil {
			a.Local.Identity.Destroy()
		}
	}
}

// formerKeys are the keys before the last rotation, which are still honoured.
type formerKeys struct {
	account      *omemo.Account // nil for none
	accountUntil time.Time
	access       *vault.Access // nil for none
	accessUntil  time.Time
}

func (f *formerKeys) messages() *message.FormerIdentity {
	if f.account == nil {
		return nil
	}
	return &message.FormerIdentity{Account: f.account, Until: f.accountUntil}
}

func (f *formerKeys) token() cloudapi.FormerToken {
	if f.access == nil {
		return cloudapi.FormerToken{}
	}
	return cloudapi.FormerToken{Token: f.access.AccessToken, Until: f.accessUntil}
}

func (f *formerKeys) webhook() *webhook.FormerCredentials {
	if f.access == nil {
		return nil
	}
	return &webhook.FormerCredentials{
		Credentials: webhook.Credentials{Secret: []byte(f.access.WebhookSecret), VerifyToken: []byte(f.access.VerifyToken)}, Until: f.accessUntil,
	}
}

// parts are everything that needs the keys.
type parts struct {
	*relay
	keys     *keys
	number   phone.Number
	store    message.Store
	carrier  *carrierSlot
	messages *message.Service
	tokens   *access.Tokens
	receipts receipts
	ledger   *ledger.Ledger
	webhooks *queue.Runner      // nil without a webhook
	delivery *webhook.Deliverer // nil without a webhook
	copies   []*copies          // for processors
	drained  chan struct{}      // closed when the endpoint has no requests left
	conduct  *conduct.Book
	ruled    bool   // the conduct's rules were read
	unruled  string // why they were not the last time
}

// copies brings a processor its copies of webhooks, apart from the webhook and from other processors.
type copies struct {
	name     string
	delivery *webhook.Deliverer
	runner   *queue.Runner
}
