package serve

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/clock"
	"github.com/relaykeep/relaykeep/relay/config"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/store"
)

// Options say how to run. ConfigPath and Arguments are required. The others are for tests; when
// empty, they get the values that a pod needs.
type Options struct {
	ConfigPath string
	// Arguments say where Vault and the carrier are.
	Arguments config.Arguments
	Version   string
	Log       *slog.Logger
	DataDir   string
	TokenPath string
	// Token, when not nil, returns the service account token instead.
	Token          func(context.Context) (string, error)
	EndpointAddr   string // host:port to listen on
	StatusAddr     string
	TLSDir         string
	WebhookCertDir string
	// WebhookCredentialsDir has the credentials that the webhook's receiver brings.
	WebhookCredentialsDir string
	// AccountDir has the file about the relay's business account.
	AccountDir string
	// IntegrityDir has the file about what holds for first contacts; without the folder, nothing is limited.
	IntegrityDir string
	// Now is the node's clock. Once Vault's time is known, the node's clock counts only while
	// it agrees with that: see clock.Trusted.
	Now func() time.Time
	// VaultOffset shifts what Vault says the time is, in tests.
	VaultOffset func() time.Duration
	// SweepEvery is how often the store is swept and its keys are looked at.
	SweepEvery time.Duration
	// AdvanceEvery is how often it is looked whether a new epoch is due.
	AdvanceEvery time.Duration
	// Listening is called with each address once the relay listens on it: first the status
	// server's, then the endpoint's.
	Listening func(name string, addr net.Addr)
	// AllowLinks permits a business's links to lead to more than public addresses, for tests
	// whose servers are on this machine.
	AllowLinks func(netip.Addr) bool
	// StoreOptions are further ones.
	StoreOptions []store.Option
	// WrapStore wraps the store that the messages use, for tests that make it fail.
	WrapStore func(message.Store) message.Store
	// WrapCarrier wraps the carrier that the messages use.
	WrapCarrier func(message.Carrier) message.Carrier
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
	set(&o.WebhookCredentialsDir, contract.WebhookCredentialsDir)
	set(&o.AccountDir, contract.AccountDir)
	set(&o.IntegrityDir, contract.IntegrityDir)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.SweepEvery == 0 {
		o.SweepEvery = sweepEvery
	}
	if o.AdvanceEvery == 0 {
		o.AdvanceEvery = advanceEvery
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
	if o.WrapCarrier == nil {
		o.WrapCarrier = func(c message.Carrier) message.Carrier { return c }
	}
	return o
}

// How often the store is maintained.
const (
	advanceEvery = time.Minute
	sweepEvery   = time.Hour
)
