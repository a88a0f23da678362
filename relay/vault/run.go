package vault

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/hashicorp/vault/api"
)

// probeEvery is how often Run checks whether Vault is usable: a seal shows in the relay's
// conditions within that time, and so does its end.
const probeEvery = 10 * time.Second

// Run keeps the client logged in and Ready current until ctx ends, and returns ctx's error. No
// answer from Vault ends it.
func (c *Client) Run(ctx context.Context) error {
	ticker := time.NewTicker(probeEvery)
	defer ticker.Stop()
	for {
		c.probe(ctx)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// probe logs in when it is time to, and otherwise asks whether Vault is sealed. Ready shows
// either result.
func (c *Client) probe(ctx context.Context) {
	if _, err := c.health(ctx); err != nil {
		_ = c.note(err)
		return
	}
	_, err := c.ensureLogin(ctx, nil)
	if err == nil && errors.Is(c.Ready(), ErrDenied) {
		// Only a call can show that calls are no longer refused. This one needs what a relay
		// needs most, and backs off after refusals like any other.
		_, _ = c.HasKeys(ctx)
		return
	}
	_ = c.note(err)
}

// Ready returns nil when Vault answered the latest call as it should, else the reason:
// ErrSealed, ErrUnavailable or ErrDenied.
func (c *Client) Ready() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.trouble
}

// Retry calls fn until it succeeds, ctx ends, or it fails in a way that waiting does not mend:
// it returns ErrErased, ErrNotFound and ErrForeignContent at once. It is for a relay that starts
// while Vault is sealed, unreachable or not yet set up.
func (c *Client) Retry(ctx context.Context, fn func(context.Context) error) error {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = firstDelay, maxDelay
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := fn(ctx)
		if err != nil && !Temporary(err) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(b), backoff.WithMaxElapsedTime(0))
	return err
}

// Temporary reports whether waiting may fix an error of this package.
func Temporary(err error) bool {
	return errors.Is(err, ErrSealed) || errors.Is(err, ErrUnavailable) || errors.Is(err, ErrDenied)
}

// Now returns Vault's clock, to the second. It needs no login.
func (c *Client) Now(ctx context.Context) (time.Time, error) {
	health, err := c.health(ctx)
	if err != nil {
		return time.Time{}, err
	}
	return time.Unix(health.ServerTimeUTC, 0).UTC(), nil
}

func (c *Client) health(ctx context.Context) (*api.HealthResponse, error) {
	var health *api.HealthResponse
	err := c.observe(ctx, opHealth, func(ctx context.Context) (err error) {
		health, err = c.api.Sys().HealthWithContext(ctx)
		switch {
		case err != nil:
			return err
		case health.Sealed || !health.Initialized:
			return &callError{op: opHealth, kind: ErrSealed}
		case health.ServerTimeUTC <= 0:
			return foreign(opHealth, "the answer holds no time")
		}
		return nil
	})
	return health, err
}
