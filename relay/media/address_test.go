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
	} {
		if got := public(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s is public: %v", text, got)
		}
	}
}
