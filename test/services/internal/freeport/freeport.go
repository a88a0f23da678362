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

// Resolve replaces port 0 of host:port by one that was free a moment ago.
func Resolve(ctx context.Context, address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("reading the listen address: %w", err)
	}
	if port != "0" {
		return address, nil
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	defer l.Close()
	tcp, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return "", errors.New("finding a free port: no TCP address")
	}
	return net.JoinHostPort(host, strconv.Itoa(tcp.Port)), nil
}
