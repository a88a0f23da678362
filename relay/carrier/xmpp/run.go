package xmpp

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stream"
)

// Run implements carrier.Carrier. It returns ctx's error. Only one call may run at a time.
func (c *Carrier) Run(ctx context.Context, h carrier.Handler) error {
	c.mu.Lock()
	if c.running {
		c.mu.Unlock()
		return errors.New("xmpp: carrier runs already")
	}
	c.running = true
	c.mu.Unlock()
	c.setStatus(carrier.Connecting, ReasonConnecting)
	defer c.stopped()

	a := &attempts{c: c, h: h, pauses: newPauses(c.cfg.MinBackoff, c.cfg.MaxBackoff)}
	a.reset()
	_, _ = backoff.Retry(ctx, func() (struct{}, error) { return struct{}{}, a.once(ctx) },
		backoff.WithBackOff(a.pauses), backoff.WithMaxElapsedTime(0)) // an error is ctx's
	return ctx.Err()
}

// errNoLink makes Run try again.
var errNoLink = errors.New("xmpp: no link")

// attempts are the links that Run makes, one after another.
type attempts struct {
	c      *Carrier
	h      carrier.Handler
	pauses *pauses

	mayRegister  bool
	unregistered *stream.Failure // why the account could not be registered
}

func (a *attempts) reset() {
	a.mayRegister, a.unregistered = a.c.cfg.Registration != Closed, nil
}

// once makes a link, serves it until it ends, and notes why it ended. It always returns an
// error.
func (a *attempts) once(ctx context.Context) error {
	for {
		begun := time.Now()
		up, err := a.c.connect(ctx, a.h)
		if up { // if the server loses the account later, it is registered again
			a.reset()
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		f := stream.ReasonOf(err)
		if f.Reason == ReasonCredentialsRefused {
			if f = a.register(ctx, f); f == nil {
				continue
			}
		}
		a.c.lost(f)
		a.pauses.note(f.Refused(), time.Since(begun))
		return errNoLink
	}
}

// register creates an account that the server says it does not know, if the configuration
// allows that. It returns nil when it did, else why there is no link.
func (a *attempts) register(ctx context.Context, refused *stream.Failure) *stream.Failure {
	switch {
	case a.mayRegister:
	case a.unregistered != nil:
		return a.unregistered
	default:
		return refused
	}
	if err := Register(ctx, a.c.cfg); err != nil {
		f := stream.ReasonOf(err)
		// The carrier's admin may remove an account that blocks ours.
		a.mayRegister, a.unregistered = !errors.Is(f, carrier.ErrRejected) || f.Reason == ReasonAccountTaken, f
		return f
	}
	a.c.cfg.Log.InfoContext(ctx, "registered the carrier account")
	a.mayRegister = false
	return nil
}

// lost notes why there is no link.
func (c *Carrier) lost(f *stream.Failure) {
	state := carrier.Disconnected
	if f.Refused() {
		state = carrier.Refused
	}
	c.cfg.Log.Warn("no link to the carrier", "reason", f.Reason)
	c.setStatus(state, f.Reason)
}

// stopped makes sure that nothing waits after Run has returned.
func (c *Carrier) stopped() {
	c.stream.End()
	c.mu.Lock()
	c.running, c.progress = false, progress{}
	c.mu.Unlock()
	c.setStatus(carrier.Disconnected, ReasonStopped)
}

// connect makes one link and serves it until it ends. It returns why the link ended, and
// whether it was ever up.
func (c *Carrier) connect(ctx context.Context, h carrier.Handler) (up bool, err error) {
	l, resumed, err := c.stream.Connect(ctx, c.cfg.stream())
	if err != nil {
		return false, err
	}
	if !resumed {
		c.mu.Lock()
		c.progress, c.contacts = progress{}, nil
		c.mu.Unlock()
	}
	c.stream.Attach(l)
	c.setStatus(carrier.Online, "")
	c.cfg.Metrics.Linked(resumed)
	c.cfg.Log.InfoContext(ctx, "link to the carrier is up", "resumed", resumed)
	return true, c.serve(ctx, l, h)
}
