package serve

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/conduct"
	"github.com/relaykeep/relaykeep/relay/config"
	"github.com/relaykeep/relaykeep/relay/message"
)

// Reasons of the condition SendingUnlimited.
const (
	ReasonWithinLimits = "WithinLimits"
	ReasonNotLimited   = "NotLimited"
	ReasonExempt       = "Exempt"
	ReasonSlowed       = "Slowed"
	ReasonHeld         = "Held"
)

const (
	// conductEvery is how often what changed of the business's conduct is kept, and how often the rules are read.
	conductEvery = 5 * time.Second
	// conductTime bounds how long the end of the relay may be delayed by that.
	conductTime = 5 * time.Second
)

// openConduct reads what was kept of the business's conduct, and the rules.
func (p *parts) openConduct(ctx context.Context) error {
	book, err := message.OpenConduct(ctx, p.store, p.Now())
	if book == nil {
		return fmt.Errorf("reading what was kept of the business's conduct: %w", err)
	}
	if err != nil {
		p.Log.LogAttrs(ctx, slog.LevelError, "what was kept of the business's conduct cannot be read: it begins in the lowest tier", slog.Any("error", err))
	}
	p.conduct = book
	p.readRules(ctx)
	return nil
}

// keepConduct keeps what changes of the business's conduct and reads the rules, until ctx ends.
func (p *parts) keepConduct(ctx context.Context) error {
	tick := time.NewTicker(conductEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			p.readRules(ctx)
			if err := p.messages.KeepConduct(ctx, false); err != nil && ctx.Err() == nil {
				p.Log.LogAttrs(ctx, slog.LevelWarn, "the counts of the business's conduct could not be kept; trying again", slog.Any("error", err))
			}
		}
	}
}

// endConduct keeps the counts as they are at the end.
func (p *parts) endConduct(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), conductTime)
	defer cancel()
	if err := p.messages.KeepConduct(ctx, true); err != nil {
		p.Log.LogAttrs(ctx, slog.LevelWarn, "the counts of the business's conduct could not be kept", slog.Any("error", err))
	}
}

// readRules reads what holds for first contacts. An operator of a former release mounts no such folder: nothing is limited
// then. If the folder has no file that can be read, what was read last holds, or the strictest at first.
func (p *parts) readRules(ctx context.Context) {
	said, err := config.LoadIntegrity(filepath.Join(p.IntegrityDir, contract.IntegrityFile))
	if err == nil {
		p.conduct.SetRules(conduct.Rules{
			Enforce: said.Limits == contract.LimitsEnforced, Exempt: said.Limits == contract.LimitsExempt,
			Relays: said.Relays, Others: said.Others, Silent: said.Silent, OthersHeld: said.OthersHeld,
			YellowPercent: said.YellowPercent, RedPercent: said.RedPercent,
		})
		p.ruled, p.unruled = true, ""
		return
	}
	if _, missing := os.Stat(p.IntegrityDir); errors.Is(missing, fs.ErrNotExist) {
		return
	}
	if p.unruled != err.Error() { // it is tried every few seconds
		p.unruled = err.Error()
		p.Log.LogAttrs(ctx, slog.LevelWarn, "what holds for first contacts is not known: the operator writes it into the relay's ConfigMap", slog.Any("error", err))
	}
	if !p.ruled {
		p.conduct.SetRules(conduct.Rules{Enforce: true, Relays: contract.MaxNamespaceRelays})
	}
}

// signals are what is known of the business's conduct.
func (p *parts) signals() conduct.Signals { return p.conduct.Signals(p.Now()) }

// integrityStatus is what the operator learns of it.
func integrityStatus(s conduct.Signals) *contract.IntegrityStatus {
	return &contract.IntegrityStatus{FirstContacts: s.Rounded(), DailyLimit: s.Limit, Held: s.OwnHold()}
}

// sendingCondition is SendingUnlimited.
func sendingCondition(s conduct.Signals) contract.Condition {
	c := contract.Condition{Type: contract.ConditionSendingUnlimited, Status: contract.True}
	const ends = "; it recovers by itself, or a cluster admin exempts the relay in the DataRegion (spec.integrity.exemptions); see docs/integrity.md"
	switch {
	case s.State == conduct.Off:
		c.Reason, c.Message = ReasonNotLimited, "first contacts are counted and not limited"
	case s.State == conduct.Exempt:
		c.Reason, c.Message = ReasonExempt, "a cluster admin exempted the relay: first contacts are counted and not limited"
	case s.State == conduct.Slowed:
		c.Status, c.Reason = contract.False, ReasonSlowed
		c.Message = fmt.Sprintf("the business writes to strangers faster than its tier allows, %d a day, and gets error 131048 for those beyond it; everybody else gets its messages%s", s.Limit, ends)
	case s.State == conduct.Held && !s.Until.IsZero():
		c.Status, c.Reason = contract.False, ReasonHeld
		c.Message = fmt.Sprintf("until %s the business can write only to those who wrote to it, and gets error 131048 for others, because it tried to write to too many strangers%s",
			s.Until.UTC().Format(time.RFC3339), ends)
	case s.State == conduct.Held && s.Complained:
		c.Status, c.Reason = contract.False, ReasonHeld
		c.Message = "too many people refused the business or reported it as spam within a week; it can write only to those who wrote to it, and gets error 131048 for others" + ends
	case s.State == conduct.Held:
		c.Status, c.Reason = contract.False, ReasonHeld
		c.Message = "another relay of the namespace is held; until that recovers, this one can write only to those who wrote to it, and gets error 131048 for others: see kubectl get businessrelays"
	default:
		c.Reason, c.Message = ReasonWithinLimits, "the business writes to no more strangers than its tier allows"
	}
	return c
}
