package media

import (
	"net/netip"
	"testing"
)

func TestPublicAddresses(t *testing.T) {
	for text, want := range map[string]bool{
		"93.184.216.34": true, "8.8.8.8": true, "2606:4700::1111": true, "::ffff:8.8.8.8": true,
		"192.0.0.8": false, "198.18.3.4": false, "203.0.113.9": false, "240.1.1.1": false, "2001:db8::1": false,
		"::8.8.8.8": false, "2001:0:1::1": false, "fec0::1": false, "ff02::1": false, "100::1": false,
		"::ffff:10.1.1.1": false, "fe80::1%eth0": false,
		"::ffff:0:8.8.8.8": false, "::ffff:0:127.0.0.1": false, "100:0:0:1::1": false, "64:ff9b::8.8.8.8": false,
		"192.31.196.1": false, "192.52.193.1": false, "192.175.48.1": false, "2620:4f:8000::1": false, "3fff::1": false,
		"5f00::1": false, "4000::1": false, "fc00::1": false, "2001:4:112::1": false, "2a00:1450:4001::1": true,
	} {
		if got := public(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s is public: %v", text, got)
		}
	}
}

func TestCarrierWebServer_AllowedAddresses(t *testing.T) {
	for text, want := range map[string]bool{
		"93.184.216.34": true, "10.1.2.3": true, "192.168.7.1": true, "100.64.0.9": true, "fd12::1": true, "2606:4700::1111": true,
		"64:ff9b::8.8.8.8": true, "64:ff9b::10.0.0.1": true,
		"127.0.0.1": false, "127.8.8.8": false, "::1": false, "::ffff:127.0.0.1": false, "::ffff:0:127.0.0.1": false, "::127.0.0.1": false,
		"64:ff9b::127.0.0.1": false, "64:ff9b::169.254.169.254": false, "2002:7f00:1::": false, "0.0.0.0": false, "::": false,
		"169.254.169.254": false, "fe80::1": false, "fd00:ec2::254": false, "fd20:ce::254": false, "168.63.129.16": false,
		"100.100.100.200": false, "192.0.0.192": false, "224.0.0.1": false, "ff02::1": false,
	} {
		if got := reachable(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s may be a carrier's: %v", text, got)
		}
	}
	for configured, want := range map[string]bool{"127.0.0.1:5222": true, "[::ffff:127.0.0.1]:5222": true, "127.0.0.2:5222": false, "localhost:5222": false, "": false} {
		if got := (Carrier{Address: configured}).at(netip.MustParseAddr("127.0.0.1")); got != want {
			t.Errorf("loopback is the carrier's at %q: %v", configured, got)
		}
	}
}
