package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp"
	"github.com/relaykeep/relaykeep/relay/cloudapi"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/vault"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// parts are everything that needs the keys.
type parts struct {
	*relay
	keys     *keys
	number   phone.Number
	store    message.Store
	link     *link
	messages *message.Service
	webhooks *queue.Runner      // nil without a webhook
	delivery *webhook.Deliverer // nil without a webhook
	drained  chan struct{}      // closed when the endpoint has no requests left
}

// parts wires what needs the keys.
func (r *relay) parts(k *keys) (*parts, error) {
	number, err := phone.Parse(r.cfg.PhoneNumber)
	if err != nil {
		return nil, err
	}
	p := &parts{relay: r, keys: k, number: number, store: r.WrapStore(k.store), link: &link{}, drained: make(chan struct{})}
	files, err := p.files()
	if err != nil {
		return nil, err
	}
	p.messages = message.New(message.Options{
		Store: p.store, Link: r.WrapLink(p.link), Account: k.account, Former: k.former.messages(),
		Forget: p.link.Forget, Scrub: k.store.Scrub,
		Webhook: webhook.Account{
			BusinessAccountID: k.identity.BusinessAccountID, PhoneNumberID: k.identity.PhoneNumberID, Phone: number,
		},
		Files: files,
		Deliveries: func() {
			if p.webhooks != nil {
				p.webhooks.Wake()
			}
		},
		Retention: r.retention(), AcceptUnencrypted: r.cfg.AcceptUnencrypted, NoNotices: r.cfg.NoEncryptionNotice, Notice: r.cfg.EncryptionNoticeText, Now: r.Now, Log: r.Log,
	})
	if r.cfg.Webhook != nil {
		if err := p.addWebhook(); err != nil {
			return nil, err
		}
	}
	r.metrics.attach(p)
	return p, nil
}

// addWebhook wires the deliveries to the business.
func (p *parts) addWebhook() (err error) {
	backend := message.Queue(p.store, message.QueueWebhook)
	receiver := webhook.Receiver{
		URL: p.cfg.Webhook.URL, CABundle: p.cfg.Webhook.CABundle,
		Credentials: webhook.Credentials{Secret: p.keys.access.WebhookSecret, VerifyToken: p.keys.access.VerifyToken},
		Former:      p.keys.former.webhook(),
	}
	if p.cfg.Webhook.ClientCertificate {
		receiver.Certificate = func() (*tls.Certificate, error) {
			c, err := tls.LoadX509KeyPair(filepath.Join(p.WebhookCertDir, "tls.crt"), filepath.Join(p.WebhookCertDir, "tls.key"))
			return &c, err
		}
	}
	p.delivery, err = webhook.New(webhook.Options{
		Receiver: receiver, Finish: backend.Finish, Recovered: func() { p.webhooks.Hurry() },
		Retention: p.retention(), Now: p.Now, Log: p.Log, Observe: p.metrics.webhook,
	})
	if err != nil {
		return err
	}
	p.webhooks = queue.New(queue.Options{
		Name: message.QueueWebhook, Backend: backend, Worker: p.messages.Deliver(p.delivery.Work), Workers: webhook.Concurrency,
		Open: p.delivery.Verified, Now: p.Now, Log: p.Log,
	})
	return nil
}

// run runs the parts until ctx ends: first the endpoint stops, then what is at hand
// in the queues, and last the carrier, which ends with base.
func (p *parts) run(ctx, base context.Context) error {
	if p.keys.store.Tampered() {
		p.state.setTampered()
		p.Log.LogAttrs(ctx, slog.LevelError, "sessions or pre-keys on the volume were put back or taken away while the relay was stopped")
	}
	if p.keys.store.Restored() {
		if err := p.messages.Restored(ctx, p.keys.store.DropRatchets); err != nil {
			return err
		}
	}
	p.state.setParts(p)
	defer p.state.setParts(nil)
	links, unlink := context.WithCancel(base)
	defer unlink()
	linked := make(chan error, 1)
	go func() { linked <- p.runCarrier(links) }()

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.serveEndpoint(ctx) })
	g.Go(func() error { return p.messages.Run(ctx) })
	g.Go(func() error { return p.maintain(ctx) })
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

// runCarrier keeps the link to the carrier. An account that lacks is waited for.
func (p *parts) runCarrier(ctx context.Context) error {
	create := phone.Number{} // an admin puts it into Vault
	if p.cfg.Carrier.XMPP.Registration == string(xmpp.Open) {
		create = p.number
	}
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		account, err := p.vault.CarrierAccount(ctx, create)
		if err == nil && account.Username != p.number.E164() {
			err = errOtherAccount
		}
		if err == nil {
			if err = p.runLink(ctx, account); !errors.Is(err, errNewAccount) {
				return err
			}
			pause = firstPause / 2
			continue
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if p.link.setFailure(err) {
			p.Log.LogAttrs(ctx, slog.LevelWarn, "the carrier account cannot be had yet", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// errOtherAccount means that the account in Vault is another number's.
var errOtherAccount = errors.New("the carrier account in Vault is not this relay's number")

func (p *parts) runLink(ctx context.Context, account vault.CarrierAccount) error {
	x := p.cfg.Carrier.XMPP
	c, err := xmpp.New(xmpp.Config{
		Account: p.number, Domain: x.Domain, Address: x.Address, CABundle: []byte(x.CABundle), Password: account.Password,
		Registration: registration(x.Registration, account), RegistrationToken: account.RegistrationToken,
		AcceptUnencrypted: p.cfg.AcceptUnencrypted,
		Archive:           p.messages, Now: p.Now, Log: p.Log, Metrics: p.metrics,
	})
	if err != nil {
		return fmt.Errorf("configuring the carrier: %w", err)
	}
	p.link.set(c)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() { cancel(p.newAccount(ctx, c, account)) }()
	if err := c.Run(ctx, p.messages); !errors.Is(context.Cause(ctx), errNewAccount) {
		return err
	}
	return errNewAccount
}

// How often the store is looked after.
const (
	advanceEvery = time.Minute
	sweepEvery   = time.Hour
)

// maintain opens new epochs in time and removes what is past the retention. That is
// housekeeping: what makes it unreadable is that its keys are destroyed.
func (p *parts) maintain(ctx context.Context) error {
	advance, sweep := time.NewTicker(advanceEvery), time.NewTicker(p.SweepEvery)
	defer advance.Stop()
	defer sweep.Stop()
	p.sweep(ctx)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-advance.C:
			p.recheckOwner(ctx)
			if p.clock.Skewed() {
				_, _ = p.askTime(ctx) // which of the two jumped; KeysReady tells
			}
			p.noteSkew()
			// It only means that what is written meanwhile dies earlier; KeysReady
			// says what is wrong with Vault.
			if p.keys.store.Full() { // look again: a quiet relay would not notice that there is room
				_ = p.keys.store.Update(ctx, func(*store.Tx) error { return nil })
			}
			if err := p.keys.store.Advance(ctx); err != nil && ctx.Err() == nil {
				p.Log.LogAttrs(ctx, slog.LevelWarn, "no new data key; the present one is used further", slog.Any("error", err))
			}
		case <-sweep.C:
			p.sweep(ctx)
		}
	}
}

// sweep removes what is past the retention and looks whether the keys are.
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
	swept, err := p.keys.store.Sweep(ctx, now.Add(-p.retention()))
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		p.Log.LogAttrs(ctx, slog.LevelError, "sweeping the store failed", slog.Any("error", err))
	} else {
		p.Log.LogAttrs(ctx, slog.LevelInfo, "swept the store", slog.Int("epochs", swept.Epochs),
			slog.Int("messages", swept.Messages), slog.Int("jobs", swept.Jobs), slog.Int("others", swept.Others))
	}
}

// carrierCondition is CarrierConnected.
func (p *parts) carrierCondition() contract.Condition {
	c := p.link.condition()
	if c.Status == contract.True && p.messages.Count(message.EventForeignDevice) > 0 {
		c.Reason = ReasonForeignDevice
		c.Message = "the business's account listed a device that is not the relay's: change the account's password, and ask the carrier who added it; the relay took it off the list"
	}
	return c
}

// service shows the messages to the HTTP interface.
type service struct{ *message.Service }

// AcceptText implements cloudapi.Service.
func (s service) AcceptText(ctx context.Context, t cloudapi.Text) (string, error) {
	id, err := s.Service.AcceptText(ctx, message.Text{
		To: t.To, Body: t.Body, ReplyTo: t.ReplyTo, Opaque: t.Opaque, IdentityHash: t.IdentityHash,
	})
	return id, translate(err)
}

// MarkRead implements cloudapi.Service.
func (s service) MarkRead(ctx context.Context, r cloudapi.Read) error {
	return translate(s.Service.MarkRead(ctx, r.MessageID, r.Typing))
}
