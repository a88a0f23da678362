#!/bin/bash
# ejabberd 23.01 offers SCRAM-SHA-*-PLUS over TLS 1.3 and refuses every login with it that is bound as RFC 9266 says.
#
# The -PLUS mechanisms bind a login to its TLS connection. The binding that SCRAM had before, tls-unique, does not exist
# in TLS 1.3; RFC 9266 puts tls-exporter in its place. A server that offers -PLUS on such a connection, so one would think,
# knows a binding that works there, and a client takes the best mechanism that is offered. This server knows tls-unique alone,
# over TLS 1.3 as well, and does not say so (XEP-0440): a client that keeps to the RFC is told that its password is wrong.
# The same client logs in over TLS 1.2, and over TLS 1.3 without -PLUS.
# So: use -PLUS over TLS 1.3 only where the server lists tls-exporter in its features.
#
# Source: RFC 9266; github.com/processone/ejabberd issue 4105; and the output below.
. "$(dirname "$0")/lib/common.sh"
. "$lib/debian.sh"

xmpp_client mellium.im/sasl@v0.3.2 <<'GO'
package main

import (
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"mellium.im/sasl"

	"finding/client"
)

func offered(c *client.Client) []string {
	plus := regexp.MustCompile(`SCRAM-[A-Z0-9-]*-PLUS`).FindAllString(c.Features, -1)
	slices.Sort(plus)
	return plus
}

func login(c *client.Client, state tls.ConnectionState, m sasl.Mechanism) string {
	opts := []sasl.Option{
		sasl.Credentials(func() ([]byte, []byte, []byte) { return []byte("alice"), []byte("secret"), nil }),
		sasl.RemoteMechanisms("SCRAM-SHA-1", "SCRAM-SHA-1-PLUS"),
	}
	if strings.HasSuffix(m.Name, "-PLUS") {
		opts = append(opts, sasl.TLSState(state))
	}
	n := sasl.NewClient(m, opts...)
	_, out, err := n.Step(nil)
	client.Die(err)
	const ns = " xmlns='urn:ietf:params:xml:ns:xmpp-sasl'"
	c.Send("<auth" + ns + " mechanism='" + m.Name + "'>" + base64.StdEncoding.EncodeToString(out) + "</auth>")
	binding, _, _ := strings.Cut(string(out), ",")
	for {
		s := c.Next()
		if s.XMLName.Local != "challenge" {
			why := s.Condition("not-authorized", "malformed-request")
			return strings.TrimSpace(fmt.Sprintf("%s, GS2 header %s: %s %s", m.Name, binding, s.XMLName.Local, why))
		}
		in, err := base64.StdEncoding.DecodeString(s.Inner)
		client.Die(err)
		_, out, err = n.Step(in)
		client.Die(err)
		c.Send("<response" + ns + ">" + base64.StdEncoding.EncodeToString(out) + "</response>")
	}
}

func main() {
	addr := os.Args[1]
	client.Login(addr, "alice").Close()
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, m := range []sasl.Mechanism{sasl.ScramSha1Plus, sasl.ScramSha1} {
			c := client.Dial(addr)
			state := c.StartTLS(v)
			if m.Name == sasl.ScramSha1Plus.Name {
				fmt.Printf("%s: offered %v, bindings named: %v\n", tls.VersionName(v), offered(c), strings.Contains(c.Features, "sasl-cb"))
			}
			fmt.Printf("%s: %s\n", tls.VersionName(v), login(c, state, m))
		}
	}
}
GO
ejabberd
expect 'TLS 1.2: offered [SCRAM-SHA-1-PLUS SCRAM-SHA-256-PLUS SCRAM-SHA-512-PLUS], bindings named: false
TLS 1.2: SCRAM-SHA-1-PLUS, GS2 header p=tls-unique: success
TLS 1.2: SCRAM-SHA-1, GS2 header n: success
TLS 1.3: offered [SCRAM-SHA-1-PLUS SCRAM-SHA-256-PLUS SCRAM-SHA-512-PLUS], bindings named: false
TLS 1.3: SCRAM-SHA-1-PLUS, GS2 header p=tls-exporter: failure not-authorized
TLS 1.3: SCRAM-SHA-1, GS2 header n: success' ./client "127.0.0.1:$port"
