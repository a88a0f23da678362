package serve

import (
	"context"
	"errors"
	"log/slog"

	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// checkOwner refuses to work with what another owner's relay left under the same names. It
// records the first relay, once; also that of an installation that is older than the record.
func (r *relay) checkOwner(ctx context.Context) error {
	number, err := phone.Parse(r.cfg.PhoneNumber)
	if err != nil {
		return err
	}
	account, err := r.vault.Account(ctx)
	if err != nil {
		return err
	}
	recorded, err := r.vault.ReadOwner(ctx)
	if errors.Is(err, vault.ErrNotFound) {
		if err := r.checkUnrecorded(ctx, number); err != nil {
			return err
		}
		recorded, err = r.vault.Own(ctx, number)
	}
	if err != nil {
		return err
	}
	if recorded != (vault.Owner{Account: account, Number: number}) {
		return errOwnerChanged
	}
	r.account = account
	return nil
}

// checkUnrecorded looks for what another business left before owners were recorded: keys beside
// a carrier account for another number.
func (r *relay) checkUnrecorded(ctx context.Context, number phone.Number) error {
	left, err := r.vault.CarrierAccount(ctx, phone.Number{})
	switch {
	case errors.Is(err, vault.ErrNotFound), errors.Is(err, vault.ErrForeignContent), err == nil && left.Username == number.E164():
		return nil
	case err != nil:
		return err
	}
	keyed, err := r.vault.HasKeys(ctx)
	if err == nil && keyed {
		return errOwnerChanged
	}
	return err
}

// recheckOwner notices that the relay's service account was recreated while the relay runs. The
// relay continues with what it has in memory, but would not start again.
func (r *relay) recheckOwner(ctx context.Context) {
	if account, err := r.vault.Account(ctx); err != nil || account == r.account {
		return // Vault is unreachable, which its own condition says, or nothing changed
	}
	err := r.checkOwner(ctx)
	if err != nil && !errors.Is(err, errOwnerChanged) {
		return
	}
	if r.state.setOwner(err) && err != nil {
		r.Log.LogAttrs(ctx, slog.LevelError, "the relay's service account changed", slog.Any("error", err))
	}
}
