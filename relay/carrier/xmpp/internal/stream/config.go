package stream

import (
	"cmp"
	"fmt"
	"time"

	"mellium.im/xmpp/jid"

	"github.com/relaykeep/relaykeep/relay/phone"
)

// Login is an account and its server. Address, CABundle and Resource may be empty.
type Login struct {
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
	// Resource is the XMPP resource to bind. A server lets one link have it: a second one
	// ends the first. Package xmpp gives an empty one its default.
	Resource string
}

// Config is a Login and the limits of its link. MaxStanza and Idle must be set.
type Config struct {
	Login

	// MaxStanza is the largest stanza that is kept, in bytes on the wire.
	MaxStanza int
	// MaxWire is how much of one stanza is read at most, in bytes; 0 means 64 MiB.
	MaxWire int
	// Idle is how long the link may be silent before we ask the server for a sign of life. It
	// has as long again to give one.
	Idle time.Duration
}

// JID is the account's full address. It returns an error when the resource is invalid.
func (l Login) JID() (jid.JID, error) {
	j, err := jid.New(l.Account.Local(), l.Domain, l.Resource)
	if err != nil {
		return jid.JID{}, fmt.Errorf("xmpp: resource %q is no XMPP resource", l.Resource)
	}
	return j, nil
}

// bare is the account's address without resource.
func (l Login) bare() string { return l.Account.Local() + "@" + l.Domain }

func (c Config) maxWire() int { return cmp.Or(c.MaxWire, maxWire) }
