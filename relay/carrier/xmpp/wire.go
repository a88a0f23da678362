package xmpp

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"mellium.im/xmpp/dial"

	"github.com/relaykeep/relaykeep/relay/carrier/xmpp/internal/stanza"
)

// How long things may take that are not questions to a peer.
const (
	dialTimeout  = 20 * time.Second
	loginTimeout = 40 * time.Second // all of TLS, authentication and binding
	writeTimeout = 30 * time.Second
)

// headerBudget is how much may be read while the stream is negotiated.
const headerBudget = 128 << 10

// wire is the connection, before and after TLS. It bounds what is read for one
// stanza and how long the other side may be silent. It offers ReadByte so that an
// xml.Decoder reads no further than the element that it returns: one decoder can
// then be left for another in mid-stream. One goroutine may read, another write.
type wire struct {
	net.Conn
	in     *bufio.Reader
	state  tls.ConnectionState // the zero one before TLS
	budget int                 // bytes that may still be read
}

func newWire(conn net.Conn, silence time.Duration) *wire {
	return &wire{
		Conn:   conn,
		in:     bufio.NewReaderSize(timedReader{conn, silence}, 8<<10),
		budget: headerBudget,
	}
}

// timedReader gives each read a deadline of its own.
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

// dial connects to the configured address, or to where the domain's SRV records
// point.
func (c Config) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if c.Address != "" {
		return new(net.Dialer).DialContext(ctx, "tcp", c.Address)
	}
	account, err := c.jid()
	if err != nil {
		return nil, err
	}
	d := dial.Dialer{NoTLS: true} // STARTTLS on every server that we speak to
	conn, err := d.Dial(ctx, "tcp", account)
	if err != nil && ctx.Err() == nil {
		return new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(c.Domain, "5222"))
	}
	return conn, err
}

// startTLS wraps the connection and checks the server's certificate for the domain.
func (c Config) startTLS(ctx context.Context, plain *wire) (*wire, error) {
	if plain.in.Buffered() > 0 {
		return nil, errors.New("server sent data in clear after agreeing to TLS")
	}
	conf := &tls.Config{ServerName: c.Domain, MinVersion: tls.VersionTLS12}
	if len(c.CABundle) > 0 {
		conf.RootCAs = x509.NewCertPool()
		conf.RootCAs.AppendCertsFromPEM(c.CABundle)
	}
	conn := tls.Client(plain.Conn, conf)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("handshake: %w", err)
	}
	w := newWire(conn, 2*c.Idle)
	w.state = conn.ConnectionState()
	return w, nil
}

// primed lets a fresh decoder begin in mid-stream: it reads the stream's header,
// as every client's stream has it, and goes on with the stanzas.
type primed struct {
	header string
	r      io.ByteReader
}

const streamHeader = "<stream:stream xmlns='" + stanza.NSClient + "' xmlns:stream='" + stanza.NSStream + "'>"

func (p *primed) ReadByte() (byte, error) {
	if p.header != "" {
		b := p.header[0]
		p.header = p.header[1:]
		return b, nil
	}
	return p.r.ReadByte()
}

// Read is never called: an xml.Decoder prefers ReadByte. It is here to make
// primed an io.Reader.
func (p *primed) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	c, err := p.ReadByte()
	if err != nil {
		return 0, err
	}
	b[0] = c
	return 1, nil
}

var _ io.ByteReader = (*primed)(nil)
