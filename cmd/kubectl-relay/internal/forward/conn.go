package forward

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"k8s.io/streaming/pkg/httpstream"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/printable"
)

const (
	// maxComplaint is how many bytes are read of why a node could not connect.
	maxComplaint = 1 << 10
	// complaintWait is how long a connection that ended waits for the reason, which comes at the same time.
	complaintWait = time.Second
)

// RefusedError says that a pod's node could not connect to the port.
type RefusedError struct {
	Pod  string
	Port int32
	Said string // by the node
}

// Error implements error.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("port %d of pod %s does not answer: %s", e.Port, e.Pod, e.Said)
}

// conn is a connection to a port of a pod. It has no deadlines: what uses it closes it.
type conn struct {
	forwarder        *Forwarder
	port             int32
	data, complaints httpstream.Stream

	said    chan struct{} // closed once complaint is set
	refusal string        // written before said is closed
	closing sync.Once
}

func newConn(f *Forwarder, port int32, data, complaints httpstream.Stream) *conn {
	c := &conn{forwarder: f, port: port, data: data, complaints: complaints, said: make(chan struct{})}
	go func() {
		defer close(c.said)
		text, _ := io.ReadAll(io.LimitReader(complaints, maxComplaint)) // a connection that breaks says nothing
		c.refusal = strings.TrimSpace(printable.Text(string(text)))
	}()
	return c
}

// Read implements net.Conn. The end of a connection that its node could not make is a RefusedError.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.data.Read(p)
	if n > 0 || err == nil {
		return n, err
	}
	wait := time.NewTimer(complaintWait)
	defer wait.Stop()
	select {
	case <-c.said:
		if c.refusal != "" {
			return 0, &RefusedError{c.forwarder.pod, c.port, c.refusal}
		}
	case <-wait.C:
	}
	return 0, err
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) { return c.data.Write(p) }

// Close implements net.Conn.
func (c *conn) Close() error {
	c.closing.Do(func() {
		_ = c.data.Reset() // both directions, also what was not sent yet
		_ = c.complaints.Reset()
		c.forwarder.conn.RemoveStreams(c.data, c.complaints)
	})
	return nil
}

// LocalAddr implements net.Conn.
func (c *conn) LocalAddr() net.Addr { return podAddr("here") }

// RemoteAddr implements net.Conn.
func (c *conn) RemoteAddr() net.Addr {
	return podAddr(fmt.Sprintf("%s:%d", c.forwarder.pod, c.port))
}

// SetDeadline implements net.Conn.
func (*conn) SetDeadline(time.Time) error { return os.ErrNoDeadline }

// SetReadDeadline implements net.Conn.
func (*conn) SetReadDeadline(time.Time) error { return os.ErrNoDeadline }

// SetWriteDeadline implements net.Conn.
func (*conn) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

// podAddr is an address of a connection to a pod.
type podAddr string

// Network implements net.Addr.
func (podAddr) Network() string { return "pod" }

// String implements net.Addr.
func (a podAddr) String() string { return string(a) }
