package customer

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/relaykeep/relaykeep/relay/carrier"
)

// maxTasks bounds how many tasks may wait.
const maxTasks = 1024

// task is work that follows from what arrived. It talks to the carrier, so the carrier's own
// callback must not wait for it.
type task struct {
	name string
	do   func(context.Context) error
}

// later queues a task. A full queue drops it: receipts and repairs are due again when the peer
// asks again.
func (c *Customer) later(name string, do func(context.Context) error) {
	select {
	case c.tasks <- task{name, do}:
	default:
		c.Log.Warn("task queue is full, dropping a task", "task", name)
	}
}

// work does queued tasks one after another until ctx ends. A failed task is only logged: none
// is a reason to end the link.
func (c *Customer) work(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case t := <-c.tasks:
			if err := t.do(ctx); err != nil && ctx.Err() == nil {
				c.Log.Warn("a task failed", "task", t.name, "error", err)
			}
		}
	}
}

// publishBundle fills up our bundle and publishes it.
func (c *Customer) publishBundle(ctx context.Context) error {
	bundles, err := c.State.bundles(c.Formats)
	if err != nil {
		return err
	}
	for _, b := range bundles {
		if err := insist(ctx, func() error { return c.Carrier.PublishBundle(ctx, c.State.account.Device, b) }); err != nil {
			return err
		}
	}
	return nil
}

// publishDevice adds our device to those that the account lists.
func (c *Customer) publishDevice(ctx context.Context, f carrier.Format, listed []carrier.DeviceID) error {
	if slices.Contains(listed, c.State.account.Device) {
		return nil
	}
	list := append(slices.Clone(listed), c.State.account.Device)
	return insist(ctx, func() error { return c.Carrier.PublishDevices(ctx, f, list) })
}

// retry repeats what fails because there is no link, until ctx ends.
func retry(ctx context.Context, do func() error) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := do()
		if err != nil && !errors.Is(err, carrier.ErrOffline) && !errors.Is(err, carrier.ErrUnconfirmed) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(pauses()), backoff.WithMaxElapsedTime(0))
	return err
}

// maxPublications is how often a publication is tried that the server refuses temporarily:
// for about six seconds.
const maxPublications = 7

// insist is retry for a publication, which nobody requests again. For a few seconds it also
// repeats what the server refuses temporarily: ejabberd has trouble with accounts that publish
// at the same moment. It does not repeat what got no answer, since that took long enough.
func insist(ctx context.Context, do func() error) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := retry(ctx, do)
		if errors.Is(err, carrier.ErrRejected) || errors.Is(err, context.DeadlineExceeded) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(pauses()), backoff.WithMaxTries(maxPublications))
	return err
}

// pauses are the pauses between two attempts.
func pauses() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.Multiplier = 50*time.Millisecond, 2*time.Second, 2
	return b
}

// Flush waits until the tasks for everything that arrived so far are done, receipts above
// all. Run must be running.
func (c *Customer) Flush(ctx context.Context) error {
	done := make(chan struct{})
	select {
	case c.tasks <- task{"flush", func(context.Context) error { close(done); return nil }}:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
