package xmpp

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"strings"
	"time"

	"mellium.im/xmpp/jid"

	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stream"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// Registration says what a Carrier does when the server does not know its account.
type Registration string

// The values of Registration. The empty one is Closed.
const (
	Closed Registration = "Closed" // an admin made the account
	Open   Registration = "Open"   // register it in-band (XEP-0077)
	Token  Registration = "Token"  // the same, naming a token that an admin handed out (XEP-0445)
)

// DefaultResource is the XMPP resource of a relay.
const DefaultResource = "relaykeep"

// Archive keeps how far the account's archive at the server (XEP-0313) was read, so
// that what arrived meanwhile is read from there when a session cannot be resumed.
// Positions are the server's and mean nothing to others.
type Archive interface {
	// Position returns the last one that was set, or "" when there is none.
	Position(ctx context.Context) (string, error)
	SetPosition(ctx context.Context, id string) error
}

// Defaults and bounds of a Config's limits.
const (
	DefaultMaxStanza  = 2 << 20 // bytes
	DefaultIQTimeout  = 30 * time.Second
	DefaultIdle       = 60 * time.Second
	DefaultMinBackoff = 500 * time.Millisecond
	DefaultMaxBackoff = time.Minute
)

// Config says which account to use and where. The zero value of everything but
// Account, Domain and Password has a useful meaning.
type Config struct {
	// Account is the account's number; its address is +<digits>@Domain.
	Account phone.Number
	// Domain is the XMPP domain, which the server's certificate must name.
	Domain string
	// Address is the server's host:port. Empty means the domain's SRV records
	// (RFC 6120, 3.2), then port 5222 of the domain itself.
	Address string
	// CABundle is PEM: the certificate authorities that may have signed the
	// server's certificate. Empty means the system's.
	CABundle []byte
	Password string
	// Resource is the XMPP resource; empty means DefaultResource. One resource has
	// one link: a second one ends the first.
	Resource string
	// Registration says what to do when the server refuses the credentials: with
	// Open or Token, Run registers the account and tries again, until the server
	// refuses that for good.
	Registration Registration
	// RegistrationToken is for Registration Token.
	RegistrationToken string
	// AcceptUnencrypted passes the text of messages in clear to the Handler, as a
	// carrier.Unread. Otherwise it only learns that there was one.
	AcceptUnencrypted bool

	// Archive keeps how far the account's archive was read; nil: the archive is not read.
	Archive Archive

	// Now dates what arrives; nil means the machine's clock.
	Now func() time.Time
	// Log takes notes that hold neither numbers nor content; nil discards them.
	Log *slog.Logger
	// Metrics counts; nil counts nothing.
	Metrics Metrics

	// MaxStanza is the largest stanza that is kept, in bytes on the wire: what servers
	// write for ' has six. A larger one is read to its end, counted and forgotten.
	MaxStanza int
	// maxWire is the most that is read of one stanza, in bytes; 0 means 64 MiB.
	maxWire int
	// ackWithin is for how long the server's request for our count may wait for the
	// Handler: servers take silence for a broken link. 0 means 5 seconds.
	ackWithin time.Duration
	// IQTimeout bounds each question to the server or a peer.
	IQTimeout time.Duration
	// Idle is how long the link may be silent before the server is asked for a
	// sign of life; it has as long again to give one.
	Idle time.Duration
	// MinBackoff and MaxBackoff bound the pause between attempts to connect. It is
	// jittered. A server that refuses the credentials is left alone for MaxBackoff.
	MinBackoff, MaxBackoff time.Duration
}

// withDefaults returns c with the unset limits filled in, or an error that no
// retry mends.
func (c Config) withDefaults() (Config, error) {
	if c.Account.IsZero() {
		return c, errors.New("xmpp: configuration has no account")
	}
	if err := validDomain(c.Domain); err != nil {
		return c, err
	}
	if c.Address != "" {
		if _, _, err := net.SplitHostPort(c.Address); err != nil {
			return c, errors.New("xmpp: address must be host:port")
		}
	}
	if len(c.CABundle) > 0 && !x509.NewCertPool().AppendCertsFromPEM(c.CABundle) {
		return c, errors.New("xmpp: CA bundle holds no certificate in PEM")
	}
	switch c.Registration {
	case "":
		c.Registration = Closed
	case Closed, Open, Token:
	default:
		return c, errors.New("xmpp: registration must be Closed, Open or Token")
	}
	if c.Resource == "" {
		c.Resource = DefaultResource
	}
	if _, err := c.stream().JID(); err != nil {
		return c, err
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = noMetrics{}
	}
	setDefault(&c.MaxStanza, DefaultMaxStanza)
	setDefault(&c.IQTimeout, DefaultIQTimeout)
	setDefault(&c.Idle, DefaultIdle)
	setDefault(&c.ackWithin, 5*time.Second)
	setDefault(&c.MinBackoff, DefaultMinBackoff)
	setDefault(&c.MaxBackoff, DefaultMaxBackoff)
	return c, nil
}

func setDefault[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

func validDomain(domain string) error {
	j, err := jid.Parse(domain)
	if err != nil || domain == "" || j.String() != domain || strings.ContainsAny(domain, "@/") {
		return errors.New("xmpp: domain must be a host name in its canonical, lower-case form")
	}
	return nil
}

// stream is what the stream needs of c.
func (c Config) stream() stream.Config {
	return stream.Config{
		Account: c.Account, Domain: c.Domain, Address: c.Address, CABundle: c.CABundle,
		Password: c.Password, Resource: c.Resource,
		MaxStanza: c.MaxStanza, MaxWire: c.maxWire, Idle: c.Idle,
	}
}
