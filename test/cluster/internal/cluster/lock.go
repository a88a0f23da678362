package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// acquire waits until no other command changes the cluster. The lock ends by itself with the process.
func (c *Cluster) acquire(ctx context.Context) (release func(), err error) {
	if err := os.MkdirAll(c.state, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(c.lock(), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	said := false
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			f.Close()
			return nil, fmt.Errorf("locking the cluster: %w", err)
		}
		if !said {
			fmt.Fprintln(c.out, "waiting for another command that is changing the cluster")
			said = true
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, context.Cause(ctx)
		case <-time.After(pollEvery):
		}
	}
}
