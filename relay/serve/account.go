package serve

import (
	"context"
	"log/slog"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// accountCheck is how often Vault is asked for another password or token while the carrier
// refuses the present ones.
const accountCheck = 15 * time.Second

// registration says whether the relay registers the account if the carrier does not know it. If
// that needs a token and the account has none, an admin must register it.
func registration(region string, account vault.CarrierAccount) xmpp.Registration {
	if region == string(xmpp.Token) && account.RegistrationToken == "" {
		return xmpp.Closed
	}
	return xmpp.Registration(region)
}

// newAccount waits until the carrier refuses the account and Vault has another, and
// returns errNewAccount, or ctx's error.
func (p *parts) newAccount(ctx context.Context, c carrier.Carrier, refused vault.CarrierAccount) error {
	tick := time.NewTicker(accountCheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		switch c.Status().Reason {
		case xmpp.ReasonCredentialsRefused, xmpp.ReasonRegistration, xmpp.ReasonAccountTaken:
		default:
			continue
		}
		account, err := p.vault.CarrierAccount(ctx, phone.Number{})
		if err == nil && account != refused {
			p.Log.LogAttrs(ctx, slog.LevelInfo, "Vault has another carrier account")
			return errNewAccount
		}
	}
}
