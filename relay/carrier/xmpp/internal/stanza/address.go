package stanza

import (
	"strings"

	"github.com/relaykeep/relaykeep/relay/phone"
)

// Bounds on what peers choose.
const (
	MaxAddress = 3071 // bytes (RFC 7622, 3.1)
	MaxID      = 256  // bytes of a stanza's id; UUIDs have 36
)

// origin says who sent a stanza.
type origin int

// Who sends stanzas.
const (
	FromPeer    origin = iota // a number at our domain, or a name where that is allowed
	FromOwn                   // our own account itself
	FromSelf                  // one of our own account's devices
	FromServer                // the server
	fromForeign               // another domain
	fromNobody                // an address at our domain that is nobody's to write from
)

// Addresses maps addresses to numbers, exactly: +<digits>@<domain>.
type Addresses struct {
	Own    phone.Number
	Domain string
	// Names lets <name>@<domain> be a peer as well.
	Names bool
}

// Of returns the number's address.
func (a Addresses) Of(n phone.Number) string { return n.Local() + "@" + a.Domain }

// Origin reads a stanza's from address. It returns a number only for a peer. The server
// stamps that address (RFC 6120, 8.1.2.1); an empty one means our own account. The server
// writes domains in canonical form, so any other form is foreign.
func (a Addresses) Origin(from string) (origin, phone.Number) {
	if from == "" {
		return FromOwn, phone.Number{}
	}
	if len(from) > MaxAddress {
		return fromForeign, phone.Number{}
	}
	bare, _, full := strings.Cut(from, "/")
	local, domain, account := strings.Cut(bare, "@")
	if !account {
		domain, local = bare, ""
	}
	if domain != a.Domain {
		return fromForeign, phone.Number{}
	}
	if !account {
		return FromServer, phone.Number{}
	}
	parse := phone.Parse
	if a.Names {
		parse = phone.ParseLocal
	}
	n, err := parse(local)
	switch {
	case err != nil:
		return fromNobody, phone.Number{}
	case n != a.Own:
		return FromPeer, n
	case full:
		return FromSelf, phone.Number{}
	}
	return FromOwn, phone.Number{}
}

// Drop is why a message of that origin is not passed on.
func (o origin) Drop() Drop {
	switch o {
	case FromOwn, FromSelf:
		return DropFromSelf
	case FromServer:
		return DropFromServer
	case fromForeign:
		return DropForeignDomain
	case FromPeer, fromNobody:
	}
	return DropForeignAddress
}
