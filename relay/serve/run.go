package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cenkalti/backoff/v5"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp"
	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/metering"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/proof"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// run runs the parts until ctx ends. Then the endpoint stops first, after it the jobs in flight
// in the queues, and last the carrier, which ends with base.
func (p *parts) run(ctx, base context.Context) error {
	if p.keys.store.Tampered() {
		p.state.setTampered()
		p.Log.LogAttrs(ctx, slog.LevelError, "sessions or pre-keys on the volume were put back or removed while the relay was stopped")
	}
	if err := p.loadTokens(ctx); err != nil {
		return err
	}
	if err := errors.Join(p.messages.DropFormer(ctx), p.messages.LoadCanary(ctx)); err != nil {
		return err
	}
	if p.keys.store.Restored() {
		// First, since what follows ends that it counts as restored: a crash between them enters it twice.
		if _, err := p.ledger.Enter(ctx, proof.Restored, []byte("{}")); err != nil {
			return fmt.Errorf("entering into the log: %w", err)
		}
		if err := p.messages.Restored(ctx, p.keys.store.DropRatchets); err != nil {
			return err
		}
	}
	p.running.Store(p)
	defer p.running.Store(nil)
	defer p.flushLedger(ctx)
	links, unlink := context.WithCancel(base)
	defer unlink()
	linked := make(chan error, 1)
	go func() { linked <- p.runCarrier(links) }()

	g, ctx := errgroup.WithContext(ctx)
	p.runCopies(ctx, g)
	g.Go(func() error { return p.serveEndpoint(ctx) })
	g.Go(func() error { return p.messages.Run(ctx) })
	g.Go(func() error { return p.maintain(ctx) })
	g.Go(func() error { return p.keepConduct(ctx) })
	g.Go(func() error { return p.watchStore(ctx) })
	g.Go(func() error { return p.watchReceipts(ctx) })
	g.Go(func() error { return p.ledger.Run(ctx) })
	if p.delivery != nil {
		g.Go(func() error { return p.delivery.Run(ctx) })
		g.Go(func() error { return p.webhooks.Run(ctx) })
	}
	g.Go(func() error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-linked:
			linked <- err
			return err
		}
	})
	err := g.Wait()
	p.endConduct(ctx)
	unlink()
	if failed := stopped(<-linked); failed != nil {
		return failed
	}
	return err
}

// stopped drops the error of a part that was told to stop.
func stopped(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// runCarrier keeps the link to the carrier. It waits for an account that is missing.
func (p *parts) runCarrier(ctx context.Context) error {
	create := phone.Number{} // an admin puts it into Vault
	if p.cfg.Carrier.XMPP.Registration == string(xmpp.Open) {
		create = p.number
	}
	for {
		account, err := p.carrierAccount(ctx, create)
		if err != nil {
			return err
		}
		if err = p.runLink(ctx, account); !errors.Is(err, errNewAccount) {
			return err
		}
	}
}

// carrierAccount reads the account from Vault, or makes it for the given number, and retries
// until there is one.
func (p *parts) carrierAccount(ctx context.Context, create phone.Number) (vault.CarrierAccount, error) {
	return backoff.Retry(ctx, func() (vault.CarrierAccount, error) {
		account, err := p.vault.CarrierAccount(ctx, create)
		if err == nil && account.Username != p.number.E164() {
			err = errOtherAccount
		}
		if err != nil && ctx.Err() == nil && p.carrier.setFailure(err) {
			p.Log.LogAttrs(ctx, slog.LevelWarn, "cannot read the carrier account from Vault yet, retrying", slog.Any("error", err))
		}
		return account, err
	}, patiently()...)
}

func (p *parts) runLink(ctx context.Context, account vault.CarrierAccount) error {
	x := p.cfg.Carrier.XMPP
	picture, err := media.ReadPicture(p.cfg.Profile.Picture)
	if err != nil {
		p.Log.LogAttrs(ctx, slog.LevelWarn, "spec.profile.picture is not published; the one before stays", slog.Any("error", err))
	}
	c, err := xmpp.New(xmpp.Config{
		Login:        xmpp.Login{Account: p.number, Domain: x.Domain, Address: x.Address, CABundle: []byte(x.CABundle), Password: account.Password},
		Registration: registration(x.Registration, account), RegistrationToken: account.RegistrationToken,
		Profile:           xmpp.Profile{Name: p.cfg.Profile.DisplayName, Picture: picture, KeepPicture: err != nil},
		AcceptUnencrypted: p.cfg.AcceptUnencrypted,
		Names:             x.CustomersWithoutNumber == contract.Allow,
		Archive:           p.messages, Now: p.Now, Log: p.Log, Metrics: p.metrics,
	})
	if err != nil {
		return fmt.Errorf("configuring the carrier: %w", err)
	}
	p.carrier.set(c)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() { cancel(p.newAccount(ctx, c, account)) }()
	if err := c.Run(ctx, p.messages); !errors.Is(context.Cause(ctx), errNewAccount) {
		return err
	}
	return errNewAccount
}

// maintain opens new epochs in time and removes what is past the retention. This is housekeeping:
// data becomes unreadable because its keys are destroyed.
func (p *parts) maintain(ctx context.Context) error {
	advance, sweep := time.NewTicker(p.AdvanceEvery), time.NewTicker(p.SweepEvery)
	defer advance.Stop()
	defer sweep.Stop()
	var published int64
	publish := func() {
		if hour := metering.Hour(p.Now()); hour != published && p.publishUsage(ctx) {
			published = hour
		}
	}
	publish() // before the sweep: it counts messages that the sweep may remove
	p.sweep(ctx)
	p.forgetContent(ctx)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-advance.C:
			publish()
			p.forgetContent(ctx)
			p.endCanary(ctx)
			p.enterIdentity(ctx)
			p.recheckOwner(ctx)
			if p.clock.Skewed() {
				_, _ = p.askTime(ctx) // finds out which of the two jumped; KeysReady says so
			}
			p.noteSkew()
			// What is written meanwhile only dies earlier. KeysReady says what is wrong
			// with Vault.
			if p.keys.store.Full() { // check again: a quiet relay would not notice that there is room
				_ = p.keys.store.Update(ctx, func(*store.Tx) error { return nil })
			}
			if err := p.keys.store.Advance(ctx); err != nil && ctx.Err() == nil {
				p.Log.LogAttrs(ctx, slog.LevelWarn, "no new data key; the current one stays in use", slog.Any("error", err))
			}
		case <-sweep.C:
			publish()
			p.sweep(ctx)
		}
	}
}

// forgetContent removes the content whose time is over, and tells the business what was lost with it. Without
// storage there is nothing else to remove it.
func (p *parts) forgetContent(ctx context.Context) {
	if !p.cfg.NoStorage {
		return
	}
	err := errors.Join(p.keys.store.ForgetContent(ctx, p.Now()), p.messages.TellLost(ctx))
	if err != nil && ctx.Err() == nil {
		p.Log.LogAttrs(ctx, slog.LevelWarn, "forgetting content failed", slog.Any("error", err))
	}
}

// sweep removes what is past the retention and checks whether the keys still exist.
func (p *parts) sweep(ctx context.Context) {
	p.endFormer(ctx)
	if err := p.recheck(ctx, p.keys); err != nil && ctx.Err() == nil && !errors.Is(err, errErased) {
		p.Log.LogAttrs(ctx, slog.LevelWarn, "asking Vault about the data keys failed", slog.Any("error", err))
	}
	// By Vault's clock, which decides when the keys die: the node's may have jumped.
	now, known := p.clock.Vault()
	if !known {
		return
	}
	p.buryOverdue(ctx, now)
	p.dropOverdue(ctx, now)
	swept, err := p.keys.store.Sweep(ctx, now.Add(-p.retention()))
	if err == nil {
		err = errors.Join(p.keys.store.ForgetRequests(ctx, now), p.dropLog(ctx, now))
	}
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		p.Log.LogAttrs(ctx, slog.LevelError, "sweeping the store failed", slog.Any("error", err))
	} else {
		p.metrics.swept.Set(float64(now.Unix()))
		p.Log.LogAttrs(ctx, slog.LevelInfo, "swept the store", slog.Int("epochs", swept.Epochs),
			slog.Int("messages", swept.Messages), slog.Int("jobs", swept.Jobs), slog.Int("others", swept.Others))
	}
}

// carrierCondition is CarrierConnected.
func (p *parts) carrierCondition() contract.Condition {
	c := p.carrier.condition()
	if c.Status == contract.True && !p.messages.Published() {
		c.Status, c.Reason = contract.False, ReasonPublishing
		c.Message = "the link to the carrier is up, but the carrier has not taken the relay's keys yet, and customers cannot write without them: the relay tries again every few seconds, and its log says why the carrier refused"
	}
	if c.Status == contract.True && p.messages.Count(message.EventForeignDevice) > 0 {
		c.Reason = ReasonForeignDevice
		c.Message = "the business's account listed a device that is not the relay's: change the account's password, and ask the carrier who added it; the relay removed it from the list"
	}
	return c
}
