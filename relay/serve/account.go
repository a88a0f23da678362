package serve

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// accountCheck is how often Vault is asked for another password while the carrier
// refuses the one at hand.
const accountCheck = 15 * time.Second

// errNewPassword means that an admin changed the carrier account's password in Vault.
var errNewPassword = errors.New("the carrier account has a new password")

// newPassword waits until the carrier refuses the password and Vault has another, and
// returns errNewPassword, or ctx's error.
func (p *parts) newPassword(ctx context.Context, c carrier.Carrier, password string) error {
	tick := time.NewTicker(accountCheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if c.Status().Reason != xmpp.ReasonCredentialsRefused {
			continue
		}
		account, err := p.vault.CarrierAccount(ctx, phone.Number{})
		if err == nil && account.Password != password {
			p.Log.LogAttrs(ctx, slog.LevelInfo, "Vault has a new password for the carrier account")
			return errNewPassword
		}
	}
}
