package contract

// PublicIPv6 is the range of global unicast addresses (RFC 4291, 2.4). All others are
// unassigned, loopback, link-local, unique local or translated addresses.
const PublicIPv6 = "2000::/3"

// SpecialIPv4 are the IPv4 ranges without public hosts: those of the IANA IPv4
// Special-Purpose Address Registry (RFC 6890), multicast, and a cloud's public address
// for its own machines.
func SpecialIPv4() []string {
	return []string{
		"0.0.0.0/8",        // this network (RFC 791)
		"10.0.0.0/8",       // private (RFC 1918)
		"100.64.0.0/10",    // shared (RFC 6598); 100.100.100.200 is a cloud's metadata
		"127.0.0.0/8",      // this host (RFC 1122)
		"168.63.129.16/32", // a cloud's wire server, though the address is public
		"169.254.0.0/16",   // link-local (RFC 3927); 169.254.169.254 is metadata
		"172.16.0.0/12",    // private (RFC 1918)
		"192.0.0.0/24",     // protocol assignments (RFC 6890); 192.0.0.192 is metadata
		"192.0.2.0/24",     // documentation (RFC 5737)
		"192.31.196.0/24",  // AS112 (RFC 7535)
		"192.52.193.0/24",  // multicast tunnels (RFC 7450)
		"192.88.99.0/24",   // 6to4 relays, deprecated (RFC 7526)
		"192.168.0.0/16",   // private (RFC 1918)
		"192.175.48.0/24",  // AS112 (RFC 7534)
		"198.18.0.0/15",    // benchmarks (RFC 2544)
		"198.51.100.0/24",  // documentation (RFC 5737)
		"203.0.113.0/24",   // documentation (RFC 5737)
		"224.0.0.0/4",      // multicast (RFC 5771)
		"240.0.0.0/4",      // reserved, broadcast (RFC 1112)
	}
}

// SpecialIPv6 are the ranges within PublicIPv6 that the IANA IPv6 Special-Purpose
// Address Registry lists. Outside it are loopback, link-local, unique local,
// discard-only (100::/64), dummy (100:0:0:1::/64), segment routing's (5f00::/16) and
// multicast addresses, and those that carry an IPv4 address: ::/96, ::ffff:0:0/96,
// ::ffff:0:0:0/96 (RFC 2765), 64:ff9b::/96 and 64:ff9b:1::/48.
func SpecialIPv6() []string {
	return []string{
		"2001::/23",         // protocol assignments: Teredo, benchmarks, ORCHID and more (RFC 2928)
		"2001:db8::/32",     // documentation (RFC 3849)
		"2002::/16",         // 6to4, which carries an IPv4 address (RFC 3056)
		"2620:4f:8000::/48", // AS112 (RFC 7534)
		"3fff::/20",         // documentation (RFC 9637)
	}
}
