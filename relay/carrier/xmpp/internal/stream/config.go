package stream

import (
	"cmp"
	"fmt"
	"time"

	"mellium.im/xmpp/jid"

	"github.com/relaykeep/relaykeep/relay/phone"
)

// Config says which account to use and where. Everything but Address, CABundle and MaxWire
// must be set.
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
	// Resource is the XMPP resource that is bound.
	Resource string

	// MaxStanza is the largest stanza that is kept, in bytes on the wire.
	MaxStanza int
	// MaxWire is the most that is read of one stanza, in bytes; 0 means 64 MiB.
	MaxWire int
	// Idle is how long the link may be silent before the server is asked for a
	// sign of life; it has as long again to give one.
	Idle time.Duration
}

// JID is the account's full address. The error is about the resource.
func (c Config) JID() (jid.JID, error) {
	j, err := jid.New(c.Account.E164(), c.Domain, c.Resource)
	if err != nil {
		return jid.JID{}, fmt.Errorf("xmpp: resource %q is no XMPP resource", c.Resource)
	}
	return j, nil
}

// bare is the account's address without resource.
func (c Config) bare() string { return c.Account.E164() + "@" + c.Domain }

func (c Config) maxWire() int { return cmp.Or(c.MaxWire, maxWire) }
