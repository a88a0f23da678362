package rig

import (
	"encoding/pem"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/vault"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// AddProcessor gives the relay a processor, from its next start on. Until KnowsProcessor is called it agrees to any
// handshake, and takes nothing.
func (b *Business) AddProcessor(name string) *Receiver {
	r := newReceiver(b.t)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.server.Certificate().Raw})
	b.Config.Processors = append(b.Config.Processors, contract.Processor{Name: name, URL: r.server.URL, CABundle: string(ca)})
	return r
}

// KnowsProcessor gives a processor its credentials, once the relay has its own.
func (b *Business) KnowsProcessor(name string, r *Receiver) {
	b.t.Helper()
	c, err := webhook.ForProcessor(name, b.Known().WebhookSecret)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Expect(vault.Access{WebhookSecret: string(c.Secret), VerifyToken: string(c.VerifyToken)})
}
