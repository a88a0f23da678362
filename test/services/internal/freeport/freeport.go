// Package freeport finds the ports that servers of tests listen on. It must not know
// which servers they are.
package freeport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
)

// Resolve replaces port 0 of each host:port by one that was free a moment ago. No two
// of the addresses get the same port.
func Resolve(ctx context.Context, addresses ...string) ([]string, error) {
	resolved := make([]string, len(addresses))
	for i, address := range addresses {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, fmt.Errorf("reading the listen address: %w", err)
		}
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		if err == nil {
			defer l.Close() // held until all are found, so that none is found twice
		}
		if resolved[i] = address; port != "0" {
			continue // also where another has the port: whose start says so
		}
		if err != nil {
			return nil, fmt.Errorf("finding a free port: %w", err)
		}
		tcp, ok := l.Addr().(*net.TCPAddr)
		if !ok {
			return nil, errors.New("finding a free port: no TCP address")
		}
		resolved[i] = net.JoinHostPort(host, strconv.Itoa(tcp.Port))
	}
	return resolved, nil
}
