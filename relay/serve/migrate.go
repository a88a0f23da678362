package serve

import (
	"context"
	"errors"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/clock"
	"github.com/relaykeep/relaykeep/relay/config"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// errNoDatabase means that the configuration names no database to move a store to.
var errNoDatabase = errors.New("the configuration has no postgres: the store stays where it is")

// errNothingToMove means that there is no store in the directory, or that it was moved before.
var errNothingToMove = errors.New("there is no store in the directory that was not moved already")

// Migrate moves a stopped relay's store from its directory into the database that the configuration names,
// as Run does before it opens the database. It tries once. The store must belong to the identity that is in force.
func Migrate(ctx context.Context, o Options) error {
	o = o.withDefaults()
	cfg, err := config.LoadRelay(o.ConfigPath, o.Arguments)
	if err != nil {
		return err
	}
	r := &relay{Options: o, cfg: cfg, clock: clock.NewTrusted(o.Now)}
	if !r.onServer() {
		return errNoDatabase
	}
	left, err := r.leftOver()
	if err != nil {
		return err
	}
	if left == nil {
		return errNothingToMove
	}
	vc := vault.ForTenant(cfg.Config, contract.RoleRelay(cfg.Region), o.TokenPath)
	vc.Token, vc.Log = o.Token, o.Log
	if r.vault, err = vault.New(vc); err != nil {
		return err
	}
	defer func() {
		leave, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTime)
		defer cancel()
		r.vault.Close(leave)
	}()
	r.login = &databaseLogin{read: r.vault.DatabaseLogin}
	if err := r.checkOwner(ctx); err != nil {
		return err
	}
	id, err := r.vault.ReadIdentity(ctx, cfg.Rotation.Identity)
	clear(id.PrivateKey)
	if errors.Is(err, vault.ErrNotFound) {
		return errIdentityMissing
	}
	if err != nil {
		return err
	}
	return r.moveStore(ctx, id.StoreID)
}
