package xmpp

import (
	"strings"

	"github.com/relaykeep/relaykeep/relay/phone"
)

// Bounds on what peers choose.
const (
	maxAddress = 3071 // bytes (RFC 7622, 3.1)
	maxID      = 256  // bytes of a stanza's id; UUIDs have 36
)

// origin says whom a stanza comes from.
type origin int

const (
	fromPeer    origin = iota // a number at our domain
	fromOwn                   // our own account, as such
	fromSelf                  // one of our own account's devices
	fromServer                // the server
	fromForeign               // another domain
	fromNobody                // our domain, but no number
)

// addresses maps addresses to numbers, exactly: +<digits>@<domain>.
type addresses struct {
	own    phone.Number
	domain string
}

// of returns the number's address.
func (a addresses) of(n phone.Number) string { return n.E164() + "@" + a.domain }

// origin reads the address that a stanza comes from; the number is a peer's. The
// server stamps that address (RFC 6120, 8.1.2.1); none means our own account. The
// server hands out domains in canonical form, so any other form is foreign.
func (a addresses) origin(from string) (origin, phone.Number) {
	if from == "" {
		return fromOwn, phone.Number{}
	}
	if len(from) > maxAddress {
		return fromForeign, phone.Number{}
	}
	bare, _, full := strings.Cut(from, "/")
	local, domain, account := strings.Cut(bare, "@")
	if !account {
		domain, local = bare, ""
	}
	if domain != a.domain {
		return fromForeign, phone.Number{}
	}
	if !account {
		return fromServer, phone.Number{}
	}
	n, err := phone.Parse(local)
	switch {
	case err != nil:
		return fromNobody, phone.Number{}
	case n != a.own:
		return fromPeer, n
	case full:
		return fromSelf, phone.Number{}
	}
	return fromOwn, phone.Number{}
}

// drop is why a message of that origin is not handed on.
func (o origin) drop() Drop {
	switch o {
	case fromOwn, fromSelf:
		return DropFromSelf
	case fromServer:
		return DropFromServer
	case fromForeign:
		return DropForeignDomain
	case fromPeer, fromNobody:
	}
	return DropForeignAddress
}
