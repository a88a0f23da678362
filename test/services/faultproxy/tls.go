package faultproxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
)

const (
	header = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' "
	nsTLS  = "urn:ietf:params:xml:ns:xmpp-tls"
)

// acceptTLS is the server's part of STARTTLS (RFC 6120, 5), towards the client.
func (p *Proxy) acceptTLS(ctx context.Context, client net.Conn) (net.Conn, error) {
	if err := await(client, "<stream:stream"); err != nil {
		return nil, err
	}
	fmt.Fprintf(client, "%sid='proxy' from='%s'><stream:features><starttls xmlns='%s'><required/></starttls></stream:features>", header, p.domain, nsTLS)
	if err := await(client, "<starttls"); err != nil {
		return nil, err
	}
	fmt.Fprintf(client, "<proceed xmlns='%s'/>", nsTLS)
	conn := tls.Server(client, p.front)
	return conn, conn.HandshakeContext(ctx)
}

// startTLS is the client's part, towards the server.
func (p *Proxy) startTLS(ctx context.Context, server net.Conn) (net.Conn, error) {
	fmt.Fprintf(server, "%sto='%s'>", header, p.domain)
	if err := await(server, "</stream:features"); err != nil {
		return nil, err
	}
	fmt.Fprintf(server, "<starttls xmlns='%s'/>", nsTLS)
	if err := await(server, "<proceed"); err != nil {
		return nil, err
	}
	conn := tls.Client(server, p.back)
	return conn, conn.HandshakeContext(ctx)
}

// await reads up to the end of the first tag that begins so, and no further.
func await(conn net.Conn, beginning string) error {
	var seen []byte
	one := make([]byte, 1)
	for len(seen) < 16<<10 {
		if _, err := conn.Read(one); err != nil {
			return err
		}
		seen = append(seen, one[0])
		if i := bytes.Index(seen, []byte(beginning)); i >= 0 && bytes.ContainsRune(seen[i:], '>') {
			return nil
		}
	}
	return errNegotiation
}
