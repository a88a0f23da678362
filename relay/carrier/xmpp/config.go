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
	"github.com/relaykeep/relaykeep/relay/media"
)

// Registration says what a Carrier does when the server does not know its account.
type Registration string

// The values of Registration. The empty one is Closed.
const (
	Closed Registration = "Closed" // an admin made the account
	Open   Registration = "Open"   // register it in-band (XEP-0077)
	Token  Registration = "Token"  // the same, with a token from an admin (XEP-0445)
)

// DefaultResource is the XMPP resource of a relay.
const DefaultResource = "relaykeep"

// Archive stores how far the account's archive at the server (XEP-0313) was read. When a
// stream cannot be resumed, what arrived meanwhile is read from there. Positions mean
// something to the server only.
type Archive interface {
	// Position returns the position that was set last, or "" when there is none.
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

// Login is an account and its server: where that is and whose certificates it may have.
// An empty Resource means DefaultResource.
type Login = stream.Login

// Profile is what customers see of a business beside its number.
type Profile struct {
	// Name and Picture are published. Where one is empty, what the relay published of it before is removed.
	Name    string
	Picture media.Picture
	// KeepPicture leaves the account's picture as it is, because the business's cannot be used.
	KeepPicture bool
}

// Config configures a Carrier. The zero value of everything but Account, Domain and
// Password has a useful meaning.
type Config struct {
	Login

	// Registration says what to do when the server refuses the credentials: with Open or
	// Token, Run registers the account and tries again, until the server refuses that for good.
	Registration Registration
	// RegistrationToken is for Registration Token.
	RegistrationToken string
	// Profile is the business's, which customers see.
	Profile Profile
	// AcceptUnencrypted passes the text of unencrypted messages to the Handler, as a
	// carrier.Unread. Otherwise the Handler only learns that there was one.
	AcceptUnencrypted bool

	// Names makes a peer of everybody at the domain, also at an address that is no number.
	Names bool

	// ContactsOnly publishes devices and keys for contacts alone, as some clients do. A relay
	// must not: strangers could not write to it.
	ContactsOnly bool

	// Archive stores how far the account's archive was read; nil: the archive is not read.
	Archive Archive

	// Now dates what arrives; nil means the machine's clock.
	Now func() time.Time
	// Log gets entries with neither numbers nor content; nil discards them.
	Log *slog.Logger
	// Metrics counts; nil counts nothing.
	Metrics Metrics

	// MaxStanza is the largest stanza that is kept, in bytes on the wire, where an escaped '
	// has six. A larger one is read to its end, counted and forgotten.
	MaxStanza int
	// maxWire is how much of one stanza is read at most, in bytes; 0 means 64 MiB.
	maxWire int
	// reportWithin is how long a report of our count may wait for the Handler once the server
	// has requested it: to servers, silence means a broken link. 0 means 5 seconds.
	reportWithin time.Duration
	// page is how many messages of the archive are asked for at a time; 0 means 500. Servers give fewer: each page takes a
	// turn behind what arrives meanwhile, so that small pages are slow when much does.
	page int
	// holdBack is how many messages are held back while the archive is read; 0 means 32,768.
	holdBack int
	// IQTimeout bounds each question to the server or a peer.
	IQTimeout time.Duration
	// Idle is how long the link may be silent before we ask the server for a sign of life. It
	// has as long again to give one.
	Idle time.Duration
	// MinBackoff and MaxBackoff bound the pause between attempts to connect, which is
	// jittered. After a server has refused the credentials the pause is MaxBackoff.
	MinBackoff, MaxBackoff time.Duration
}

// withDefaults returns c with the unset limits filled in, or an error that retrying does not
// mend.
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
	if _, err := c.JID(); err != nil {
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
	setDefault(&c.reportWithin, 5*time.Second)
	setDefault(&c.page, 500)
	setDefault(&c.holdBack, 1<<15)
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
	return stream.Config{Login: c.Login, MaxStanza: c.MaxStanza, MaxWire: c.maxWire, Idle: c.Idle}
}
