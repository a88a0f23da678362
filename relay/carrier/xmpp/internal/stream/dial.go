package stream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"

	"mellium.im/xmpp/dial"
)

// dial connects to the configured address or, without one, as the domain's SRV records say.
func (c Config) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if c.Address != "" {
		return new(net.Dialer).DialContext(ctx, "tcp", c.Address)
	}
	account, err := c.JID()
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
		return nil, errors.New("server sent data in the clear after agreeing to TLS")
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
