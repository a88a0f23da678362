// Package freeport finds the ports that servers of tests listen on. It must not know
// which servers they are.
package freeport

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"syscall"
)

// Ports come from below those that systems give to outgoing connections (Linux: from 32768
// on) and to NodePorts (from 30000 on): one that was free a moment ago, or whose server is
// being started again, is not taken by whatever connects meanwhile.
const (
	first = 20000
	count = 10000
)

// Resolve replaces port 0 of each host:port by one that is free. Nobody else who asks on
// this machine gets it before this process has ended.
func Resolve(ctx context.Context, addresses ...string) ([]string, error) {
	resolved := make([]string, len(addresses))
	for i, address := range addresses {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, fmt.Errorf("reading the listen address: %w", err)
		}
		if resolved[i] = address; port != "0" {
			continue // also where another has the port: whose start says so
		}
		if resolved[i], err = find(ctx, host); err != nil {
			return nil, fmt.Errorf("finding a free port: %w", err)
		}
	}
	return resolved, nil
}

// find returns an address of the host with a port that is reserved and free.
func find(ctx context.Context, host string) (string, error) {
	err := errors.New("every port is reserved")
	for start, i := rand.IntN(count), 0; i < count; i++ {
		address := net.JoinHostPort(host, strconv.Itoa(first+(start+i)%count))
		l, listening := new(net.ListenConfig).Listen(ctx, "tcp", address)
		if listening != nil { // in use; or a host that is not this machine's, said at the end
			err = listening
			if errors.Is(listening, syscall.EADDRINUSE) {
				continue
			}
			break
		}
		reserved := reserve(first + (start+i)%count)
		if err := l.Close(); err != nil {
			return "", fmt.Errorf("closing the listener: %w", err)
		}
		if reserved {
			return address, nil
		}
	}
	return "", err
}

// reserve keeps a port for this process, and says whether it was still to be had. What it
// holds is an abstract UNIX address (unix(7)), which the system frees when the process has ended.
func reserve(port int) bool {
	syscall.ForkLock.RLock()
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return false
	}
	if err := syscall.Bind(fd, &syscall.SockaddrUnix{Name: "@relaykeep-test-port-" + strconv.Itoa(port)}); err != nil {
		_ = syscall.Close(fd)
		return false
	}
	return true // and stays open
}
