package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/cloudapi"
	"github.com/relaykeep/relaykeep/relay/ledger"
	"github.com/relaykeep/relaykeep/relay/proof"
	"github.com/relaykeep/relaykeep/relay/receipt"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/vault"
	"github.com/relaykeep/relaykeep/relay/webhook"
	"github.com/relaykeep/relaykeep/relay/witness"
)

// flushTime bounds how long the end of the process waits for the log's last sums.
const flushTime = 2 * time.Second

// addLedger wires the relay's log.
func (p *parts) addLedger() error {
	o := ledger.Options{
		Store: p.keys.store, Origin: proof.Origin(p.keys.identity.PhoneNumberID), Signer: p.vault, Now: p.Now, Log: p.Log,
	}
	if w := p.cfg.Log.Witness; w != nil {
		client, err := witness.NewClient(w.URL, w.PublicKey, w.CABundle)
		if err != nil {
			return fmt.Errorf("spec.log.witness: %w", err)
		}
		o.Witness = client
	}
	p.ledger = ledger.New(o)
	return nil
}

// flushLedger stores what was counted last. The endpoint and the queues must have ended.
func (p *parts) flushLedger(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
	defer cancel()
	if err := p.ledger.Flush(ctx); err != nil {
		p.Log.LogAttrs(ctx, slog.LevelWarn, "the log's last sums were not stored", slog.Any("error", err))
	}
}

// note counts a request for the log. What is about one person is stored before the request is answered.
func (p *parts) note(ctx context.Context, who string, kind proof.Kind, result string) {
	if kind.Span() < proof.Hour {
		p.ledger.Count(who, kind, result)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
	defer cancel()
	_ = p.ledger.CountNow(ctx, who, kind, result) // what could not be stored is tried again, and the ledger says so
}

// noteDelivery counts an attempt to deliver a webhook.
func (p *parts) noteDelivery(o webhook.Outcome, took time.Duration) {
	p.metrics.webhook(o, took)
	p.noteAttempt(proof.Webhook, o)
}

// noteCopy counts an attempt to deliver a copy to a processor.
func (p *parts) noteCopy(o webhook.Outcome, took time.Duration) {
	p.metrics.copied(o, took)
	p.noteAttempt(proof.Copy, o)
}

// noteAttempt counts a request that was made for the log: that a delivery is put off or given up is none.
func (p *parts) noteAttempt(kind proof.Kind, o webhook.Outcome) {
	switch o {
	case webhook.Taken:
		p.ledger.Count(proof.Relay, kind, proof.OK)
	case webhook.Refused:
		p.ledger.Count(proof.Relay, kind, proof.Failed)
	case webhook.Dead, webhook.Deferred:
	}
}

// enterIdentity enters the relay's device and its identity key into the log, as they are published, if they are others than
// before.
func (p *parts) enterIdentity(ctx context.Context) {
	if !p.messages.Published() {
		return
	}
	body, err := json.Marshal(map[string]any{
		"devices": []uint32{p.keys.identity.DeviceID}, "fingerprint": p.keys.account.Local.Identity.Public().Fingerprint(),
	})
	if err == nil {
		err = p.ledger.EnterChanged(ctx, proof.Identity, body)
	}
	if err != nil && ctx.Err() == nil {
		p.Log.LogAttrs(ctx, slog.LevelWarn, "the published identity was not entered into the log, trying again", slog.Any("error", err))
	}
}

// dropLog drops the log's entries whose time is over.
func (p *parts) dropLog(ctx context.Context, now time.Time) error {
	return p.keys.store.DropLog(ctx, now.AddDate(0, -p.cfg.Log.Months(), 0))
}

// enterRotation enters what rotation counters came into force, with them.
func enterRotation(tx *store.Tx, t rotations, now time.Time) error {
	body, err := json.Marshal(map[string]int{"identity": t.Identity.Number, "access": t.Access.Number})
	if err != nil {
		return fmt.Errorf("entering a rotation into the log: %w", err)
	}
	_, err = ledger.Enter(tx, proof.Rotation, body, now)
	return err
}

// enterReceipts enters erasure receipts into the log, in the transaction that notes that they were read.
func enterReceipts(tx *store.Tx, found []receipt.Receipt, now time.Time) error {
	for _, r := range found {
		body, err := json.Marshal(r)
		if err == nil {
			_, err = ledger.Enter(tx, proof.Receipt, body, now)
		}
		if err != nil {
			return fmt.Errorf("entering an erasure receipt into the log: %w", err)
		}
	}
	return nil
}

// logFiles gives the HTTP interface access to the log. It implements cloudapi.Ledger.
type logFiles struct{ *ledger.Ledger }

var _ cloudapi.Ledger = logFiles{}

// Tile implements proof.Source.
func (l logFiles) Tile(ctx context.Context, path string) ([]byte, error) {
	data, err := l.Ledger.Tile(ctx, path)
	return data, noFile(err)
}

// Checkpoint implements cloudapi.Ledger.
func (l logFiles) Checkpoint(ctx context.Context) ([]byte, error) {
	data, err := l.Ledger.Checkpoint(ctx)
	return data, noFile(err)
}

func noFile(err error) error {
	if errors.Is(err, ledger.ErrNoTile) {
		return cloudapi.ErrNoLogFile
	}
	return translate(err)
}

// logStatus is how the log is.
func (p *parts) logStatus() *contract.LogStatus {
	s := p.ledger.State()
	out := &contract.LogStatus{Entries: s.Size, Key: s.Key, Signed: s.Signed, Witnessed: s.Witnessed}
	if !s.WitnessedAt.IsZero() {
		out.WitnessedTime = new(s.WitnessedAt.UTC())
	}
	return out
}

// Reasons of the condition LogVerifiable.
const (
	ReasonLogNotWritten   = "NotWritten"
	ReasonLogSigned       = "Signed"
	ReasonLogWitnessed    = "Witnessed"
	ReasonLogNotSigned    = "NotSigned"
	ReasonLogNotYet       = "NotSignedYet"
	ReasonWitnessAway     = "WitnessAway"
	ReasonWitnessRefuses  = "WitnessRefuses"
	ReasonLogRolledBack   = "LogRolledBack"
	ReasonLogForked       = "LogForked"
	ReasonWitnessNotAsked = "WitnessNotAskedYet"
)

// logCondition is LogVerifiable of a log that is as s says and, if witnessed, has a witness.
func logCondition(s ledger.State, witnessed bool) contract.Condition {
	c := contract.Condition{Type: contract.ConditionLogVerifiable, Status: contract.False}
	switch {
	case s.Unwritten != nil:
		c.Reason, c.Message = ReasonLogNotWritten, "the log's latest sums cannot be stored, and would be lost with the process; they are tried again every few seconds: see VolumeHasRoom and KeysReady, and kubectl logs of the relay's pod"
	case errors.Is(s.Unsigned, vault.ErrDenied):
		c.Reason, c.Message = ReasonLogNotSigned, "Vault's policies are of an earlier release and let the relay sign no log: run kubectl relay setup vault --region with the DataRegion's name; entries are kept meanwhile"
	case s.Unsigned != nil:
		_, why := explain(s.Unsigned)
		c.Reason, c.Message = ReasonLogNotSigned, "the log's latest entries are not signed: "+why
	case s.Signed == 0:
		c.Status, c.Reason, c.Message = contract.Unknown, ReasonLogNotYet, "the log has no signed checkpoint yet"
	case errors.Is(s.Away, ledger.ErrRolledBack):
		c.Reason, c.Message = ReasonLogRolledBack, "the witness has cosigned a longer log: the store was put back to an earlier state; if that was intended, whoever runs the witness removes the log's checkpoint there"
	case errors.Is(s.Away, ledger.ErrForked):
		c.Reason, c.Message = ReasonLogForked, "the witness has cosigned another history of the log: find out who put another store in place (kubectl relay log export, kubectl relay audit verify)"
	case errors.Is(s.Away, ledger.ErrRefused):
		c.Reason, c.Message = ReasonWitnessRefuses, "the witness does not know the log or its key: add the key there (relay witness add), which kubectl relay log key prints"
	case errors.Is(s.Away, proof.ErrSignature):
		c.Reason, c.Message = ReasonWitnessAway, "what answers at the witness's address does not cosign with spec.log.witness.publicKey: compare that with the key that relay witness serve logs"
	case s.Away != nil:
		c.Reason, c.Message = ReasonWitnessAway, "the witness does not answer, which delays nothing: check that it runs, spec.log.witness, and that the network lets the relay through"
	case witnessed && s.Witnessed == 0:
		c.Status, c.Reason, c.Message = contract.Unknown, ReasonWitnessNotAsked, "the witness has not been asked yet"
	case witnessed:
		c.Status, c.Reason, c.Message = contract.True, ReasonLogWitnessed, "the log's checkpoints are signed and cosigned"
	default:
		c.Status, c.Reason, c.Message = contract.True, ReasonLogSigned, "the log's checkpoints are signed"
	}
	return c
}

// logProblems are what can be wrong with the log, as the metrics name it, and whether it is.
func logProblems(s ledger.State) map[string]bool {
	found := map[string]bool{
		"unwritten": s.Unwritten != nil, "unsigned": s.Unsigned != nil, "witness_refuses": errors.Is(s.Away, ledger.ErrRefused),
		"rolled_back": errors.Is(s.Away, ledger.ErrRolledBack), "forked": errors.Is(s.Away, ledger.ErrForked),
	}
	found["witness_away"] = s.Away != nil && !found["witness_refuses"] && !found["rolled_back"] && !found["forked"]
	return found
}
