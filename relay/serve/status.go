package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// serveStatus answers the operator, the kubelet and monitoring from the start of the process to
// its end. Nothing in the answers is personal.
func (r *relay) serveStatus(ctx context.Context) error {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", r.StatusAddr)
	if err != nil {
		return fmt.Errorf("listening for the status server: %w", err)
	}
	r.Listening("status", listener.Addr())
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		code := http.StatusOK
		ok, why := r.state.ready()
		if !ok {
			code = http.StatusServiceUnavailable
		}
		plain(w, code, why)
	})
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(r.status(req.Context()))
	})
	mux.HandleFunc("GET "+contract.UsagePath, r.serveUsage)
	mux.Handle("GET /metrics", promhttp.HandlerFor(r.metrics.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 2}))
	if r.cfg.Move != "" {
		mux.Handle(contract.MovePath, &r.move)
	}
	server := newServer(mux)
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the status: %w", err)
	}
	return ctx.Err()
}

// storageMode is the storage mode as the BusinessRelay names it.
func (r *relay) storageMode() string {
	if r.cfg.NoStorage {
		return contract.StorageNone
	}
	return contract.StorageRetained
}

// countTime bounds how long the queues are counted for a status.
const countTime = 2 * time.Second

// status is the answer at /status.
func (r *relay) status(ctx context.Context) contract.Status {
	var c contract.Counts
	if p := r.running.Load(); p != nil {
		c = p.counts(ctx)
	}
	return r.statusOf(c)
}

// statusOf is the answer at /status with counts of now.
func (r *relay) statusOf(counts contract.Counts) contract.Status {
	s := contract.Status{
		Version: contract.StatusVersion, ConfigHash: r.cfg.Hash, Quality: "UNKNOWN", Storage: r.storageMode(),
		Conditions: []contract.Condition{r.keysCondition()},
	}
	r.state.fill(&s)
	p := r.running.Load()
	if p == nil {
		s.Conditions = append(s.Conditions, waiting(contract.ConditionCarrierConnected), waiting(contract.ConditionWebhookVerified),
			waiting(contract.ConditionVolumeHasRoom), waiting(contract.ConditionSendingUnlimited),
			waiting(contract.ConditionLogVerifiable))
		return s
	}
	s.Counts, s.Log, s.Processors = counts, p.logStatus(), p.processorStatus()
	signals := p.signals()
	s.Quality, s.Integrity = string(signals.Quality), integrityStatus(signals)
	// Those that were there at the start may be gone by now, as they should.
	s.OldestKeyTime = nil
	if live := p.keys.ring.Live(); len(live) > 0 {
		s.OldestKeyTime = new(live[len(live)-1].Created)
	}
	now, _ := p.clock.Vault()
	s.Receipts = p.receipts.status(now)
	s.Conditions = append(s.Conditions, p.conditions(s.Counts.DeadLetters)...)
	return s
}

// conditions are those that need the keys, of a relay with so many dead letters.
func (p *parts) conditions(letters int64) []contract.Condition {
	return []contract.Condition{
		p.carrierCondition(), webhook.WithDeadLetters(p.webhookCondition(), letters), volumeCondition(p.keys.store.Full(), p.onServer()),
		sendingCondition(p.signals()), logCondition(p.ledger.State(), p.cfg.Log.Witness != nil),
	}
}

// keysCondition is KeysReady, which also says why the store cannot be written.
func (r *relay) keysCondition() contract.Condition {
	c := r.state.keysCondition(r.vault.Ready())
	p := r.running.Load()
	if p == nil || errors.Is(r.state.lasting(), errErased) {
		return c
	}
	if err := p.keys.store.Trouble(); err != nil {
		c.Status = contract.False
		c.Reason, c.Message = explain(err)
		c.Message += "; the relay tries again by itself"
	}
	return c
}

// waiting is the condition of something that waits for the keys.
func waiting(kind string) contract.Condition {
	return contract.Condition{Type: kind, Status: contract.Unknown, Reason: "KeysNotReady", Message: "waiting for the keys: see KeysReady"}
}

// fill copies what is known about the identity.
func (s *state) fill(out *contract.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out.Holder = s.holder
	out.PhoneNumberID, out.BusinessAccountID = s.identity.PhoneNumberID, s.identity.BusinessAccountID
	out.Fingerprint, out.DeviceID = s.fingerprint, s.identity.DeviceID
	if !s.identity.Created.IsZero() {
		out.InitializedTime = new(s.identity.Created)
	}
	if !s.oldestKey.IsZero() {
		out.OldestKeyTime = new(s.oldestKey)
	}
}

func (p *parts) webhookCondition() contract.Condition {
	if p.delivery == nil {
		return webhook.NotConfigured()
	}
	return p.delivery.Condition()
}

func (p *parts) counts(ctx context.Context) contract.Counts {
	ctx, cancel := context.WithTimeout(ctx, countTime)
	defer cancel()
	c := contract.Counts{
		MessagesIn:      p.messages.Count(message.EventReceived),
		MessagesOut:     p.messages.Count(message.EventAccepted),
		PlaintextDenied: p.messages.Count(message.EventPlaintext),
		ForeignDevices:  p.messages.Count(message.EventForeignDevice),
	}
	// A count that fails is left out: the status still reports everything else.
	outbox, _ := message.Queue(p.store, message.QueueOutbox).Length(ctx)
	receipts, _ := message.Queue(p.store, message.QueueReceipts).Length(ctx)
	c.OutboxQueued = outbox + receipts
	c.WebhookQueued, _ = message.Queue(p.store, message.QueueWebhook).Length(ctx)
	c.DeadLetters = p.deadLetters(ctx)
	return c
}
