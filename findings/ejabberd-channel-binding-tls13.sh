#!/bin/bash
# ejabberd 23.01 offers SCRAM-SHA-*-PLUS over TLS 1.3, and then refuses every login that uses the channel binding of RFC 9266.
#
# The -PLUS mechanisms bind a login to its TLS connection. SCRAM's former binding, tls-unique, does not exist in TLS 1.3;
# RFC 9266 replaces it by tls-exporter. One expects a server that offers -PLUS on such a connection to know a binding that
# works there, and clients take the best mechanism on offer. This server only knows tls-unique, also over TLS 1.3, and does
# not list its bindings (XEP-0440). A client that follows the RFC gets not-authorized, the answer to a wrong password. The
# same client logs in with -PLUS over TLS 1.2, and without -PLUS over TLS 1.3.
# So: use -PLUS over TLS 1.3 only if the server lists tls-exporter in its features.
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
