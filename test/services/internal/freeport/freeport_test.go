package freeport

import (
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
)

// An outgoing connection gets its own port from the system's range: a server whose port was in
// it could not start when a connection had it.
func TestResolve_FindsPortsThatNoConnectionGets(t *testing.T) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		t.Skip("no range of ports for connections is known here")
	}
	bounds := strings.Fields(string(text))
	from, err := strconv.Atoi(bounds[0])
	if err != nil {
		t.Fatal(err)
	}
	if from < first+count {
		t.Skipf("this system gives out ports from %d on", from)
	}
	for _, port := range resolve(t, 8) {
		if port >= from {
			t.Errorf("port %d is one that connections get, from %d on", port, from)
		}
	}
}

// A port stays reserved while its server is down, so no two servers of one machine get it.
func TestResolve_FindsAPortOnce(t *testing.T) {
	seen := make(map[int]bool)
	for range 200 {
		for _, port := range resolve(t, 3) {
			if seen[port] {
				t.Fatalf("port %d was found twice", port)
			}
			seen[port] = true
		}
	}
}

func TestResolve_LeavesAPortThatWasNamed(t *testing.T) {
	got, err := Resolve(t.Context(), "127.0.0.1:7")
	if err != nil || got[0] != "127.0.0.1:7" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestResolve_SaysWhichAddressIsWrong(t *testing.T) {
	for _, address := range []string{"127.0.0.1", "192.0.2.1:0"} {
		if got, err := Resolve(t.Context(), address); err == nil {
			t.Errorf("%s became %v", address, got)
		}
	}
}

func resolve(t *testing.T, n int) []int {
	t.Helper()
	addresses := make([]string, n)
	for i := range addresses {
		addresses[i] = "127.0.0.1:0"
	}
	got, err := Resolve(t.Context(), addresses...)
	if err != nil {
		t.Fatal(err)
	}
	ports := make([]int, n)
	for i, address := range got {
		_, text, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		if ports[i], err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	return ports
}
