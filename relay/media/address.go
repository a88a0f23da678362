package media

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"github.com/relaykeep/relaykeep/api/contract"
)

// ErrAddress means that a link leads to an address that a relay must not talk to.
var ErrAddress = errors.New("media: the link leads to an address that is not allowed")

// public says whether an address is a public one on the Internet: neither private, nor the
// machine's own, nor one where clouds serve their metadata. An IPv6 address that embeds an
// IPv4 one (6to4, NAT64, SIIT) is refused, whatever it embeds. A relay's NetworkPolicy closes
// the same ranges.
func public(a netip.Addr) bool {
	a = a.Unmap()
	special := contract.SpecialIPv4()
	if a.Is6() {
		if special = contract.SpecialIPv6(); !within(a, contract.PublicIPv6) {
			return false
		}
	}
	return a.Zone() == "" && !within(a, special...)
}

func within(a netip.Addr, ranges ...string) bool {
	return slices.ContainsFunc(ranges, func(r string) bool { return netip.MustParsePrefix(r).Contains(a) })
}

// reachable says whether a carrier's web server may be at an address: a public address or one
// in a private network, but neither the machine's own nor one where clouds serve their
// metadata.
func reachable(a netip.Addr) bool {
	a = a.Unmap()
	if embedded, ok := translated(a); ok {
		a = embedded
	}
	private := a.IsPrivate() || within(a, "100.64.0.0/10") // RFC 1918, 4193, 6598
	return public(a) || private && a.Zone() == "" && !within(a, metadata()...)
}

// metadata are addresses in private networks at which clouds serve their metadata.
func metadata() []string {
	return []string{"100.100.100.200/32", "fd00:ec2::254/128", "fd20:ce::254/128"}
}

// translated returns the IPv4 address that an IPv6 network reaches by NAT64 (RFC 6052).
func translated(a netip.Addr) (netip.Addr, bool) {
	if !within(a, "64:ff9b::/96") {
		return a, false
	}
	b := a.As16()
	return netip.AddrFrom4([4]byte(b[12:])), true
}

// guard makes a dialer refuse addresses after names are resolved and before anything is sent,
// so that neither DNS rebinding nor a redirect gets past it.
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
