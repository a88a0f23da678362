package stream

import (
	"bufio"
	"crypto/tls"
	"net"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
)

// Time limits, except for questions to a peer.
const (
	dialTimeout  = 20 * time.Second
	loginTimeout = 40 * time.Second // all of TLS, authentication and binding
	writeTimeout = 30 * time.Second
)

// headerBudget is how much may be read while the stream is negotiated.
const headerBudget = 128 << 10

// wire is the connection, before and after TLS. It bounds how much is read for one stanza and
// how long the other side may be silent. It has ReadByte so that an xml.Decoder reads no
// further than the element that it returns: then one decoder can replace another in the
// middle of a stream. One goroutine may read while another writes.
type wire struct {
	net.Conn
	in     *bufio.Reader
	state  tls.ConnectionState // zero before TLS
	budget int                 // bytes that may still be read
}

func newWire(conn net.Conn, silence time.Duration) *wire {
	return &wire{
		Conn:   conn,
		in:     bufio.NewReaderSize(timedReader{conn, silence}, 8<<10),
		budget: headerBudget,
	}
}

// timedReader gives each read its own deadline.
type timedReader struct {
	conn    net.Conn
	silence time.Duration
}

func (r timedReader) Read(p []byte) (int, error) {
	if err := r.conn.SetReadDeadline(time.Now().Add(r.silence)); err != nil {
		return 0, err
	}
	return r.conn.Read(p)
}

// ReadByte implements io.ByteReader.
func (w *wire) ReadByte() (byte, error) {
	if w.budget <= 0 {
		return 0, stanza.ErrTooLarge
	}
	w.budget--
	return w.in.ReadByte()
}

// Read implements io.Reader.
func (w *wire) Read(p []byte) (int, error) {
	if w.budget <= 0 {
		return 0, stanza.ErrTooLarge
	}
	n, err := w.in.Read(p[:min(len(p), w.budget)])
	w.budget -= n
	return n, err
}

// Write implements io.Writer.
func (w *wire) Write(p []byte) (int, error) {
	if err := w.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	return w.Conn.Write(p)
}

// ConnectionState tells the library whether there is TLS.
func (w *wire) ConnectionState() tls.ConnectionState { return w.state }
