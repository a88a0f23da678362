package serve

import (
	"context"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

func processorNames(of []contract.Processor) []string {
	names := make([]string, len(of))
	for i, p := range of {
		names[i] = p.Name
	}
	return names
}

// copiesFor wires the deliveries to a processor.
func (p *parts) copiesFor(of contract.Processor) (*copies, error) {
	receiver := webhook.Receiver{URL: of.URL, CABundle: of.CABundle}
	var err error
	if receiver.Credentials, err = webhook.ForProcessor(of.Name, p.keys.access.WebhookSecret); err != nil {
		return nil, err
	}
	if f := p.keys.former; f.access != nil {
		former, err := webhook.ForProcessor(of.Name, f.access.WebhookSecret)
		if err != nil {
			return nil, err
		}
		receiver.Former = &webhook.FormerCredentials{Credentials: former, Until: f.accessUntil}
	}
	c := &copies{name: of.Name}
	log := p.Log.With(slog.String("processor", of.Name))
	c.delivery, err = webhook.New(webhook.Options{
		Receiver: receiver,
		Finish: func(ctx context.Context, jobs ...queue.Job) error {
			ids := make([]int64, len(jobs))
			for i, j := range jobs {
				ids[i] = j.ID
			}
			return p.messages.FinishCopies(ctx, ids...)
		},
		Bury: func(ctx context.Context, j queue.Job, _ int, _ string) error {
			return p.messages.FinishCopies(ctx, j.ID)
		},
		Recovered: func() { c.runner.Hurry() },
		Retention: p.retention(), TriedFor: webhook.CopiesTriedFor, Now: p.Now, Log: log, Observe: p.noteCopy,
	})
	if err != nil {
		return nil, err
	}
	name := message.QueueOfProcessor(of.Name)
	c.runner = queue.New(queue.Options{
		Name: name, Backend: message.Queue(p.store, name), Batch: p.messages.DeliverCopies(c.delivery.Work),
		Workers: webhook.Workers(1), Open: c.delivery.Verified, Now: p.Now, Log: log,
	})
	return c, nil
}

// runCopies brings processors their copies until ctx ends.
func (p *parts) runCopies(ctx context.Context, g *errgroup.Group) {
	for _, c := range p.copies {
		g.Go(func() error { return c.delivery.Run(ctx) })
		g.Go(func() error { return c.runner.Run(ctx) })
	}
}

// dropOverdue removes the copies that wait for too long for a processor that is not verified.
func (p *parts) dropOverdue(ctx context.Context, now time.Time) {
	for _, c := range p.copies {
		n, err := p.messages.DropCopies(ctx, c.name, now.Add(-min(webhook.CopiesTriedFor, p.retention())))
		if err != nil && ctx.Err() == nil {
			p.Log.LogAttrs(ctx, slog.LevelWarn, "dropping a processor's copies failed", slog.String("processor", c.name), slog.Any("error", err))
		}
		if n > 0 {
			p.Log.LogAttrs(ctx, slog.LevelWarn, "copies were given up: the processor did not accept them in time", slog.String("processor", c.name), slog.Int("copies", n))
		}
		for range n {
			p.metrics.copied(webhook.Dead, 0)
		}
	}
}

// processorStatus says how the processors are.
func (p *parts) processorStatus() []contract.ProcessorStatus {
	var all []contract.ProcessorStatus
	for _, c := range p.copies {
		is := c.delivery.Condition()
		all = append(all, contract.ProcessorStatus{Name: c.name, Verified: is.Status == contract.True, Reason: is.Reason})
	}
	return all
}
