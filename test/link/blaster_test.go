package link_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"mellium.im/sasl"
	mellium "mellium.im/xmpp"
	"mellium.im/xmpp/jid"

	"github.com/relaykeep/relaykeep/relay/carrier/xmpp"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// bare is a logged-in stream and nothing more.
type bare struct {
	address string
	conn    io.ReadWriter
}

// logIn makes an account, logs in, and says that it is present.
func logIn(b *testing.B, number string) *bare {
	b.Helper()
	s := shared.server
	n, err := phone.Parse(number)
	check(b, err)
	const password = "a good password"
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err = xmpp.Register(ctx, xmpp.Config{
		Account: n, Domain: s.Domain, Address: s.Addr, CABundle: s.CAPEM, Password: password, Registration: xmpp.Open,
	})
	check(b, err)
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.Addr)
	check(b, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.CAPEM)
	account := jid.MustParse(number + "@" + s.Domain)
	session, err := mellium.NewClientSession(ctx, account, conn,
		mellium.StartTLS(&tls.Config{ServerName: s.Domain, RootCAs: roots, MinVersion: tls.VersionTLS12}),
		mellium.SASL("", password, sasl.ScramSha1), mellium.BindResource())
	check(b, err)
	l := &bare{address: account.String(), conn: session.Conn()}
	l.say(b, "<presence/>")
	return l
}

func (l *bare) say(b *testing.B, stanzas string) {
	if _, err := io.WriteString(l.conn, stanzas); err != nil {
		b.Errorf("writing: %v", err)
	}
}

// each calls on for every message stanza that arrives, until the stream ends.
func (l *bare) each(on func()) {
	const tag = "<message"
	buf := make([]byte, 64<<10)
	kept := 0
	for {
		n, err := l.conn.Read(buf[kept:])
		if err != nil {
			return
		}
		data := buf[:kept+n]
		for range bytes.Count(data, []byte(tag)) {
			on()
		}
		kept = copy(buf, data[max(0, len(data)-len(tag)+1):]) // a tag may be cut in two
	}
}

// readyMade is a message stanza of the size of the relay's.
func readyMade(to string, key int) string {
	noise := func(n int) string {
		b := make([]byte, n)
		_, _ = rand.Read(b)
		return base64.StdEncoding.EncodeToString(b)
	}
	return "<message to='" + to + "' type='chat' id='" + rand.Text() + "'><encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1001'>" +
		"<key rid='1002'>" + noise(key) + "</key><iv>" + noise(12) + "</iv></header><payload>" + noise(66) + "</payload></encrypted>" +
		"<encryption xmlns='urn:xmpp:eme:0' namespace='eu.siacs.conversations.axolotl' name='OMEMO'/><store xmlns='urn:xmpp:hints'/>" +
		"<body>This message is encrypted with OMEMO, which your client does not seem to support.</body>" +
		"<request xmlns='urn:xmpp:receipts'/><markable xmlns='urn:xmpp:chat-markers:0'/></message>"
}

// receipts are what a client answers a message with.
func receipts(to string) string {
	one := func(kind, space string) string {
		return "<message to='" + to + "' type='chat' id='" + rand.Text() + "'><" + kind + " xmlns='" + space + "' id='" + rand.Text() + "'/><store xmlns='urn:xmpp:hints'/></message>"
	}
	return one("received", "urn:xmpp:receipts") + one("displayed", "urn:xmpp:chat-markers:0")
}

// blast has one client write b.N messages to another, which answers each as clients
// do. At most window of them are unanswered.
func blast(b *testing.B) {
	const window = 2 * customers
	from, to := logIn(b, "+1555017"+digits()), logIn(b, "+1555016"+digits())
	stanza, answer := readyMade(to.address, 80), receipts(from.address)
	go to.each(func() { to.say(b, answer) })
	slots, done := make(chan struct{}, window), make(chan struct{})
	answers := 0
	go from.each(func() {
		answers++
		if answers%2 == 0 {
			<-slots
		}
		if answers == 2*b.N {
			close(done)
		}
	})
	before := shared.usage(b)
	b.ResetTimer()
	for range b.N {
		slots <- struct{}{}
		from.say(b, stanza)
	}
	<-done
	b.StopTimer()
	after := shared.usage(b)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
	b.ReportMetric(float64((after.server-before.server).Nanoseconds())/float64(b.N), "server-cpu-ns/op")
}

// digits are four that no other account has.
func digits() string {
	return fmt.Sprintf("%04d", strings.Count(rand.Text(), "A")*1000+int(time.Now().UnixNano()/1000%1000))
}
