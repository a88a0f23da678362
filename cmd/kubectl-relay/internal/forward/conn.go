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

// complaints is what a node says of one connection that it could not make.
type complaints struct {
	stream httpstream.Stream
	said   chan struct{} // closed once text is set
	text   string        // written before said is closed
}

// listen reads what comes on a stream of errors.
func listen(stream httpstream.Stream) *complaints {
	c := &complaints{stream: stream, said: make(chan struct{})}
	go func() {
		defer close(c.said)
		text, _ := io.ReadAll(io.LimitReader(stream, maxComplaint)) // a connection that breaks says nothing
		c.text = strings.TrimSpace(printable.Text(string(text)))
	}()
	return c
}

// explain returns why a connection to a port ended with err: a RefusedError if its node said so.
func (f *Forwarder) explain(port int32, c *complaints, err error) error {
	wait := time.NewTimer(complaintWait)
	defer wait.Stop()
	select {
	case <-c.said:
		if c.text != "" {
			return &RefusedError{f.pod, port, c.text}
		}
	case <-wait.C:
	}
	return err
}

// conn is a connection to a port of a pod. It has no deadlines: what uses it closes it.
type conn struct {
	forwarder  *Forwarder
	port       int32
	data       httpstream.Stream
	complaints *complaints
	closing    sync.Once
}

// Read implements net.Conn. The end of a connection that its node could not make is a RefusedError.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.data.Read(p)
	if n > 0 || err == nil {
		return n, err
	}
	return 0, c.forwarder.explain(c.port, c.complaints, err)
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) { return c.data.Write(p) }

// Close implements net.Conn.
func (c *conn) Close() error {
	c.closing.Do(func() {
		_ = c.data.Reset() // both directions, also what was not sent yet
		_ = c.complaints.stream.Reset()
		c.forwarder.conn.RemoveStreams(c.data, c.complaints.stream)
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
