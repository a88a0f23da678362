package serve

import (
	"log/slog"
	"path/filepath"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/cloudapi"
	"github.com/relaykeep/relaykeep/relay/config"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// accountID is the id of the business account: the one that the relay shares with others, or its own.
func (r *relay) accountID(own vault.Identity) string {
	if r.cfg.BusinessAccount != "" {
		return contract.BusinessAccountID(r.cfg.Namespace, r.cfg.BusinessAccount)
	}
	return own.BusinessAccountID
}

// otherNumbers are the numbers of the other relays of the business account, as the operator wrote them last. What
// cannot be read is left out: the endpoint still tells of its own number.
func (p *parts) otherNumbers() []cloudapi.OtherNumber {
	if p.cfg.BusinessAccount == "" {
		return nil
	}
	known, err := config.LoadAccount(filepath.Join(p.AccountDir, contract.AccountFile))
	if err != nil {
		p.Log.Warn("the other numbers of the business account are not known", slog.Any("error", err))
		return nil
	}
	var others []cloudapi.OtherNumber
	for _, n := range known {
		number, err := phone.Parse(n.PhoneNumber)
		if err == nil && n.ID != p.keys.identity.PhoneNumberID {
			others = append(others, cloudapi.OtherNumber{ID: n.ID, Phone: number, Name: n.Name, Quality: n.Quality, Connected: n.Connected})
		}
	}
	return others
}
