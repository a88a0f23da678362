// Package serve is the relay's process: it wires the parts together, brings them up
// in order, says how they are, and takes them down again. It must not know what a
// message is. Whatever it needs from outside, Vault, the carrier, the business's
// receiver, may be away when it starts or go away later: then it waits, says so in
// its conditions, and goes on by itself when that returns.
package serve

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/clock"
	"github.com/relaykeep/relaykeep/relay/config"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// Options say how to run. ConfigPath and Arguments are required; the others are for
// tests and have the values that a pod needs when they are empty.
type Options struct {
	ConfigPath string
	// Arguments say where Vault and the carrier are.
	Arguments config.Arguments
	Version   string
	Log       *slog.Logger
	DataDir   string
	TokenPath string
	// Token, when not nil, is asked for the service account token instead.
	Token          func(context.Context) (string, error)
	EndpointAddr   string // host:port to listen on
	StatusAddr     string
	TLSDir         string
	WebhookCertDir string
	// Now is the node's clock. Once Vault's is known it counts only while it agrees
	// with that: see clock.Trusted.
	Now func() time.Time
	// VaultOffset shifts what Vault says the time is, in tests.
	VaultOffset func() time.Duration
	// SweepEvery is how often the store is swept and its keys are looked at.
	SweepEvery time.Duration
	// Listening is called with the addresses once they are listened on: first the
	// status server's, then the endpoint's.
	Listening func(name string, addr net.Addr)
	// AllowLinks permits a business's links to lead to further addresses than public
	// ones, for tests whose servers are on this machine.
	AllowLinks func(netip.Addr) bool
	// WrapStore stands between the messages and their store, for tests that make it
	// fail.
	WrapStore func(message.Store) message.Store
	// WrapLink stands between the messages and the carrier.
	WrapLink func(message.Link) message.Link
}

func (o Options) withDefaults() Options {
	set := func(v *string, d string) {
		if *v == "" {
			*v = d
		}
	}
	set(&o.DataDir, contract.DataDir)
	set(&o.TokenPath, contract.RelayTokenPath)
	set(&o.EndpointAddr, ":"+strconv.Itoa(int(contract.EndpointPort)))
	set(&o.StatusAddr, ":"+strconv.Itoa(int(contract.StatusPort)))
	set(&o.TLSDir, contract.TLSDir)
	set(&o.WebhookCertDir, contract.WebhookClientDir)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.SweepEvery == 0 {
		o.SweepEvery = sweepEvery
	}
	if o.Now == nil {
		o.Now = clock.Now
	}
	if o.VaultOffset == nil {
		o.VaultOffset = clock.Offset
	}
	if o.Listening == nil {
		o.Listening = func(string, net.Addr) {}
	}
	if o.WrapStore == nil {
		o.WrapStore = func(s message.Store) message.Store { return s }
	}
	if o.WrapLink == nil {
		o.WrapLink = func(l message.Link) message.Link { return l }
	}
	return o
}

// leaveTime bounds how long giving the token back to Vault may hold up the end.
const leaveTime = 2 * time.Second

// relay is a process in all its parts.
type relay struct {
	Options
	cfg     *config.File
	vault   *vault.Client
	metrics *metrics
	state   state
	account string         // the UID of the service account as which the keys were opened
	clock   *clock.Trusted // Now reads it
}

// Run runs a relay until ctx ends, and then stops it in order: no new requests, what
// is at hand to its end, then the carrier, then the store. It returns an error only
// for what no waiting mends, such as an invalid configuration.
func Run(ctx context.Context, o Options) error {
	o = o.withDefaults()
	cfg, err := config.LoadRelay(o.ConfigPath, o.Arguments)
	if err != nil {
		return err
	}
	r := &relay{Options: o, cfg: cfg, clock: clock.NewTrusted(o.Now)}
	r.Now = r.clock.Now
	r.metrics = newMetrics(o.Version)
	vc := vault.ForTenant(cfg.Config, contract.RoleRelay(cfg.Region), o.TokenPath)
	vc.Token, vc.Log, vc.Observer = o.Token, o.Log, r.metrics
	if r.vault, err = vault.New(vc); err != nil {
		return err
	}
	r.Log.LogAttrs(ctx, slog.LevelInfo, "relay starts", slog.String("version", o.Version), slog.String("config", cfg.Hash))
	// What others need to stop in order ends last.
	base, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	g, base := errgroup.WithContext(base)
	g.Go(func() error { return r.serveStatus(base) })
	g.Go(func() error { return r.vault.Run(base) })
	g.Go(func() error {
		defer stop()
		return r.work(ctx, base)
	})
	err = g.Wait()
	// The token must not outlive the process for longer than it has to.
	leave, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTime)
	defer cancel()
	r.vault.Close(leave)
	if err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	r.Log.LogAttrs(ctx, slog.LevelInfo, "relay stopped")
	return nil
}

// work opens the keys and the store, however long that takes, and then runs
// everything that needs them until ctx ends. Base ends after it has returned, or
// when another part of the process failed.
func (r *relay) work(ctx, base context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(base, cancel)()
	k, err := r.open(ctx)
	if err != nil {
		return err
	}
	defer k.close(r.Log)
	p, err := r.parts(k)
	if err != nil {
		return err
	}
	return p.run(ctx, base)
}
