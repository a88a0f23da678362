package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/access"
	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// parts wires what needs the keys.
func (r *relay) parts(ctx context.Context, k *keys) (*parts, error) {
	number, err := phone.Parse(r.cfg.PhoneNumber)
	if err != nil {
		return nil, err
	}
	p := &parts{relay: r, keys: k, number: number, store: r.WrapStore(k.store), carrier: &carrierSlot{}, drained: make(chan struct{})}
	if err := errors.Join(p.openConduct(ctx), p.addLedger()); err != nil {
		return nil, err
	}
	files, err := p.files()
	if err != nil {
		return nil, err
	}
	p.messages = message.New(message.Options{
		Store: p.store, Carrier: r.WrapCarrier(p.carrier), Account: k.account, Former: k.former.messages(),
		Forget: p.carrier.Forget, Scrub: k.store.Scrub,
		Webhook: webhook.Account{
			BusinessAccountID: r.accountID(k.identity), PhoneNumberID: k.identity.PhoneNumberID, Phone: number,
			HideNumbers: r.cfg.HideNumbers, MarkFiles: r.cfg.Endpoint.SharedHost != "",
		},
		Processors: processorNames(r.cfg.Processors),
		Conduct:    p.conduct, OptOut: optOut(r.cfg.OptOut), Files: files,
		Retention: r.retention(), AcceptUnencrypted: r.cfg.AcceptUnencrypted, ClearMetadata: r.cfg.ClearMetadata, NoStorage: r.cfg.NoStorage, NoNotices: r.cfg.NoEncryptionNotice, Notice: r.cfg.EncryptionNoticeText, Now: r.Now, Log: r.Log,
	})
	if r.cfg.Webhook != nil {
		if err := p.addWebhook(); err != nil {
			return nil, err
		}
	}
	for _, of := range r.cfg.Processors {
		c, err := p.copiesFor(of)
		if err != nil {
			return nil, err
		}
		p.copies = append(p.copies, c)
	}
	p.tokens = access.New(tokenStorage{p.store}, r.Now)
	return p, nil
}

// optOut are the words by which customers stop the business; nil for none.
func optOut(o *contract.OptOut) *message.OptOut {
	if o == nil {
		return nil
	}
	return &message.OptOut{
		Words: o.Words, Back: o.ResumeWords, Confirmation: o.Confirmation, BackConfirmation: o.ResumeConfirmation, MarketingOnly: o.MarketingOnly,
	}
}

// addWebhook wires the deliveries to the business.
func (p *parts) addWebhook() (err error) {
	backend := message.Queue(p.store, message.QueueWebhook)
	receiver := webhook.Receiver{
		URL: p.cfg.Webhook.URL, CABundle: p.cfg.Webhook.CABundle,
		Credentials: webhook.Credentials{Secret: []byte(p.keys.access.WebhookSecret), VerifyToken: []byte(p.keys.access.VerifyToken)},
		Former:      p.keys.former.webhook(),
	}
	if p.cfg.Webhook.OwnCredentials {
		receiver.Credentials, receiver.Former = webhook.Credentials{}, nil
		receiver.Own = func() (webhook.Credentials, error) { return webhook.ReadCredentials(p.WebhookCredentialsDir) }
	}
	if p.cfg.Webhook.ClientCertificate {
		receiver.Certificate = func() (*tls.Certificate, error) {
			c, err := tls.LoadX509KeyPair(filepath.Join(p.WebhookCertDir, "tls.crt"), filepath.Join(p.WebhookCertDir, "tls.key"))
			return &c, err
		}
	}
	var encrypt func([]byte) (string, error)
	if p.keys.encryption != nil {
		encrypt = p.keys.encryption.business.Encrypt
	}
	p.delivery, err = webhook.New(webhook.Options{
		Receiver: receiver, Encrypt: encrypt, Finish: p.messages.Taken,
		Bury: func(ctx context.Context, j queue.Job, attempts int, failure string) error {
			return p.messages.Bury(ctx, j.ID, attempts, failure)
		},
		Recovered:  func() { p.webhooks.Hurry() },
		MaxUpdates: p.cfg.Webhook.MaxUpdates, Retention: p.retention(), Now: p.Now, Log: p.Log, Observe: p.noteDelivery, Answered: p.metrics.receiver,
	})
	if err != nil {
		return err
	}
	p.webhooks = queue.New(queue.Options{
		Name: message.QueueWebhook, Backend: backend, Batch: p.messages.Deliver(p.delivery.Work), MaxBatch: p.cfg.Webhook.MaxUpdates,
		Workers: webhook.Workers(p.cfg.Webhook.MaxUpdates), Open: p.delivery.Verified, Now: p.Now, Log: p.Log,
	})
	return nil
}

// files are the dependencies for moving files: the carrier's web server, which is where the
// carrier is, and the Internet for the business's links.
func (p *parts) files() (*message.Files, error) {
	x := p.cfg.Carrier.XMPP
	where := media.Carrier{Domain: x.Domain, Address: x.Address, CABundle: []byte(x.CABundle)}
	web, err := media.NewCarrier(where)
	if err != nil {
		return nil, fmt.Errorf("configuring the carrier's web server: %w", err)
	}
	return &message.Files{
		Uploads: p.carrier, Carrier: web, Public: media.NewPublic(p.AllowLinks, p.cfg.PrivateLinks...), Owns: where.Owns,
		Room: p.roomForFiles,
	}, nil
}
