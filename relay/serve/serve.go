// Package serve is the relay's process: it wires the parts together, starts them in order,
// reports their state, and stops them again. It must not know what a message is. Everything that
// it needs from outside (Vault, the carrier, the business's receiver) may be unreachable when it
// starts or later. Then it waits, says so in its conditions, and continues by itself.
package serve

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/clock"
	"github.com/relaykeep/relaykeep/relay/config"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// leaveTime bounds how long revoking the Vault token may delay the end of the process.
const leaveTime = 2 * time.Second

// Run runs a relay until ctx ends, and then stops it in order: no new requests, jobs in
// flight to their end, then the carrier, then the store. It returns an error only for what
// waiting cannot fix, such as an invalid configuration.
func Run(ctx context.Context, o Options) error {
	o = o.withDefaults()
	cfg, err := config.LoadRelay(o.ConfigPath, o.Arguments)
	if err != nil {
		return err
	}
	r := &relay{Options: o, cfg: cfg, clock: clock.NewTrusted(o.Now)}
	r.Now = r.clock.Now
	r.metrics = newMetrics(o.Version)
	r.metrics.registry.MustRegister(newCollector(r))
	vc := vault.ForTenant(cfg.Config, contract.RoleRelay(cfg.Region), o.TokenPath)
	vc.Token, vc.Log, vc.Observer = o.Token, o.Log, r.metrics
	if r.vault, err = vault.New(vc); err != nil {
		return err
	}
	r.login = &databaseLogin{read: r.vault.DatabaseLogin}
	r.Log.LogAttrs(ctx, slog.LevelInfo, "relay starts", slog.String("version", o.Version), slog.String("config", cfg.Hash))
	// Ends last: others need it to stop in order.
	base, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	if err := r.openDoor(ctx); err != nil {
		return err
	}
	g, base := errgroup.WithContext(base)
	if r.door != nil {
		g.Go(func() error {
			defer context.AfterFunc(base, func() { _ = r.door.Close() })()
			return r.door.Run(base)
		})
	}
	g.Go(func() error { return r.serveStatus(base) })
	g.Go(func() error { return r.vault.Run(base) })
	g.Go(func() error {
		defer stop()
		return r.work(ctx, base)
	})
	err = g.Wait()
	// The token should not outlive the process longer than necessary.
	leave, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTime)
	defer cancel()
	r.vault.Close(leave)
	if err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	r.Log.LogAttrs(ctx, slog.LevelInfo, "relay stopped")
	return nil
}

// work opens the keys and the store, however long that takes, and then runs everything that
// needs them until ctx ends. Base ends after work has returned, or when another part of the
// process has failed.
func (r *relay) work(ctx, base context.Context) error {
	told := ctx
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(base, cancel)()
	defer func() { // last, when another replica may have the store
		if r.door != nil && told.Err() != nil && base.Err() == nil {
			r.leave(told)
		}
	}()
	if r.cfg.Move != "" {
		return r.moveAway(ctx)
	}
	k, err := r.open(ctx)
	if err != nil {
		return err
	}
	defer k.close(r.Log)
	p, err := r.parts(ctx, k)
	if err != nil {
		return err
	}
	return p.run(ctx, base)
}
