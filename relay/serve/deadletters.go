package serve

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/relaykeep/relaykeep/relay/cloudapi"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// letters gives the HTTP interface access to the dead letters.
type letters struct{ *parts }

var _ cloudapi.DeadLetters = letters{}

// DeadLetters implements cloudapi.DeadLetters, as the following methods do.
func (l letters) DeadLetters(ctx context.Context, after cloudapi.DeadLetterPlace, limit int) ([]cloudapi.DeadLetter, error) {
	found, _, err := l.messages.DeadLetters(ctx, store.Place{NotBefore: after.Died, ID: after.ID}, limit)
	shown := make([]cloudapi.DeadLetter, len(found))
	for i, f := range found {
		shown[i] = cloudapi.DeadLetter{
			Place: cloudapi.DeadLetterPlace{Died: f.Died, ID: f.ID}, MessageID: f.Message, Status: f.Status, Created: f.Created,
			Attempts: f.Attempts, Failure: f.Failure,
		}
	}
	return shown, translate(err)
}

// Replay implements cloudapi.DeadLetters.
func (l letters) Replay(ctx context.Context, ids []int64) error {
	err := l.messages.Replay(ctx, ids)
	if errors.Is(err, message.ErrUnknownLetter) {
		return cloudapi.ErrUnknownLetter
	}
	l.hurry()
	return translate(err)
}

// ReplayAll implements cloudapi.DeadLetters.
func (l letters) ReplayAll(ctx context.Context) (int, error) {
	n, err := l.messages.ReplayAll(ctx)
	l.hurry()
	return n, translate(err)
}

// hurry has what was replayed tried now.
func (l letters) hurry() {
	if l.webhooks != nil {
		l.webhooks.Hurry()
	}
}

// buryOverdue makes dead letters of what waits for too long for a receiver that is not verified. Now is by Vault's
// clock, as for everything that ends something. As long as the receiver has refused nothing the reason is not known:
// then they wait for the next time, unless they do not last until then.
func (p *parts) buryOverdue(ctx context.Context, now time.Time) {
	if p.delivery == nil {
		return
	}
	tried, failure := webhook.TriedFor(p.retention()), p.delivery.Failure()
	if failure == "" && tried < p.retention() {
		return
	}
	n, err := p.messages.BuryOverdue(ctx, now.Add(-tried), cmp.Or(failure, webhook.TimeEnded))
	switch {
	case err != nil && ctx.Err() == nil:
		p.Log.LogAttrs(ctx, slog.LevelWarn, "making webhooks dead letters failed", slog.Any("error", err))
	case n > 0:
		p.Log.LogAttrs(ctx, slog.LevelWarn, "webhooks are dead letters now: the receiver did not accept them in time", slog.Int("webhooks", n))
	}
	for range n {
		p.metrics.webhook(webhook.Dead, 0)
	}
}

// deadLetters counts the dead letters; 0 if they cannot be counted.
func (p *parts) deadLetters(ctx context.Context) int64 {
	ctx, cancel := context.WithTimeout(ctx, countTime)
	defer cancel()
	n, _ := message.Queue(p.store, message.QueueDead).Length(ctx)
	return n
}
