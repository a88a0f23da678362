package host

import (
	"net/netip"
	"os"
	"strings"
)

// resolvers are the files that may say which name servers the machine uses. The first is systemd-resolved's, which names the real
// servers where /etc/resolv.conf names itself.
var resolvers = []string{"/run/systemd/resolve/resolv.conf", "/etc/resolv.conf"}

// Resolver returns the file that pods are to look names up by, and whether it names a server that a pod can reach.
func Resolver() (file string, reachable bool) {
	for _, file := range resolvers {
		content, err := os.ReadFile(file)
		if err == nil && reachableServer(string(content)) {
			return file, true
		}
	}
	return resolvers[len(resolvers)-1], false
}

// reachableServer tells whether a resolv.conf names a server that is not the machine itself.
func reachableServer(content string) bool {
	for line := range strings.Lines(content) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		address, err := netip.ParseAddr(fields[1])
		if err == nil && !address.IsLoopback() {
			return true
		}
	}
	return false
}
