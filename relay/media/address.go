package media

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// ErrAddress means that a link leads to an address that a relay must not talk to.
var ErrAddress = errors.New("media: the link leads to an address that is not allowed")

// forbidden are ranges that are not public and that netip has no name for
// (RFC 6890 and its registries).
func forbidden() [20]string {
	return [...]string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15",
		"198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4", "168.63.129.16/32", // the last: Azure's host
		"64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "fec0::/10",
		"3fff::/20", "5f00::/16", "::/96",
	}
}

// public says whether an address is anybody's on the Internet: neither private, nor
// the machine's own, nor where clouds serve their metadata. What embeds an IPv4
// address in an IPv6 one (6to4, NAT64) is refused, whatever it embeds.
func public(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.Zone() != "" {
		return false
	}
	for _, r := range forbidden() {
		if netip.MustParsePrefix(r).Contains(a) {
			return false
		}
	}
	return true
}

// local says whether an address belongs to the machine or its link alone, where
// clouds serve their metadata: not even a region's own servers are there, but for
// the loopback of tests.
func local(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() ||
		a == netip.MustParseAddr("fd00:ec2::254") || a == netip.MustParseAddr("168.63.129.16")
}

// guard makes a dialer refuse addresses, after names were resolved and before
// anything is sent: neither a name that resolves twice nor a redirect gets past it.
func guard(d *net.Dialer, allowed func(netip.Addr) bool) *net.Dialer {
	d.Control = func(network, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil || network != "tcp4" && network != "tcp6" {
			return fmt.Errorf("%w: no address", ErrAddress)
		}
		if !allowed(to.Addr()) {
			return ErrAddress
		}
		return nil
	}
	return d
}
