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
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mellium.im/sasl"
	mellium "mellium.im/xmpp"
	"mellium.im/xmpp/jid"

	"github.com/relaykeep/relaykeep/relay/carrier/xmpp"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// bare is a logged-in stream and hardly more.
type bare struct {
	address string
	conn    io.ReadWriter
	managed bool // it counts stanzas (XEP-0198), as whoever wants to lose none must

	mu    sync.Mutex // guards the following field, and writing
	asked bool       // the server owes a count
	taken int        // stanzas that arrived; of hear alone
}

const management = "urn:xmpp:sm:3"

// logIn makes an account, logs in, and says that it is present.
func logIn(b *testing.B, number string, managed bool) *bare {
	b.Helper()
	s := shared.server
	n, err := phone.Parse(number)
	check(b, err)
	const password = "a good password"
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err = xmpp.Register(ctx, xmpp.Config{
		Login:        xmpp.Login{Account: n, Domain: s.Domain, Address: s.Addr, CABundle: s.CAPEM, Password: password},
		Registration: xmpp.Open,
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
	l := &bare{address: account.String(), conn: session.Conn(), managed: managed}
	if managed {
		_, err := io.WriteString(l.conn, "<enable xmlns='"+management+"'/>")
		check(b, err)
	}
	l.say(b, "<presence/>")
	return l
}

func (l *bare) say(b *testing.B, stanzas string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.managed && !l.asked {
		l.asked = true
		stanzas += "<r xmlns='" + management + "'/>"
	}
	if _, err := io.WriteString(l.conn, stanzas); err != nil {
		b.Errorf("writing: %v", err)
	}
}

// hear calls on with what arrived, by kind, until the stream ends.
func (l *bare) hear(on func(map[string]int)) {
	tags := []string{"<encrypted", "<received", "<displayed", "<message", "<presence", "<iq", "<r ", "<a "}
	const longest = len("<displayed")
	buf := make([]byte, 64<<10)
	kept := 0
	seen := map[string]int{}
	for {
		n, err := l.conn.Read(buf[kept:])
		if err != nil {
			return
		}
		data := buf[:kept+n]
		clear(seen)
		for _, tag := range tags { // one that was whole before is not whole again
			seen[tag[1:]] = bytes.Count(data, []byte(tag)) - bytes.Count(data[:min(kept, len(data))], []byte(tag))
		}
		l.manage(seen)
		on(seen)
		kept = copy(buf, data[max(0, len(data)-longest+1):])
	}
}

// manage takes note of what arrived, and answers the server's requests for a count.
func (l *bare) manage(seen map[string]int) {
	l.taken += seen["message"] + seen["presence"] + seen["iq"]
	l.mu.Lock()
	defer l.mu.Unlock()
	if seen["a "] > 0 {
		l.asked = false
	}
	if seen["r "] > 0 {
		_, _ = fmt.Fprintf(l.conn, "<a xmlns='%s' h='%d'/>", management, l.taken) // an error is the stream's end
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

// receipt is what a client answers a message with.
func receipt(to, kind, space string) string {
	return "<message to='" + to + "' type='chat' id='" + rand.Text() + "'><" + kind + " xmlns='" + space + "' id='" + rand.Text() + "'/><store xmlns='urn:xmpp:hints'/></message>"
}

// blast has a business write half of b.N messages to its customers and they the other
// half, all bare clients, which answer as the real ones do.
func blast(b *testing.B, managed bool) {
	business := logIn(b, "+1555017"+digits(), managed)
	of := "+1555016" + digits()
	var arrived atomic.Int64
	outbound, inbound := make(chan struct{}, underWay*crowdSize), make(chan struct{}, underWay*crowdSize)
	var group sync.WaitGroup
	group.Add(b.N)
	all := make([]*bare, crowdSize)
	for i := range all {
		c := logIn(b, fmt.Sprintf("%s%03d", of, i), managed)
		all[i] = c
		answer := receipt(business.address, "received", "urn:xmpp:receipts") + receipt(business.address, "displayed", "urn:xmpp:chat-markers:0")
		go c.hear(func(n map[string]int) {
			for range n["encrypted"] {
				c.say(b, answer)
			}
			for range n["received"] {
				<-inbound
				group.Done()
			}
		})
	}
	go business.hear(func(n map[string]int) {
		for range n["encrypted"] {
			to := all[int(arrived.Add(1))%crowdSize].address
			business.say(b, receipt(to, "received", "urn:xmpp:receipts"))
		}
		for range n["displayed"] {
			<-outbound
			group.Done()
		}
	})
	before := shared.taken(b)
	b.ResetTimer()
	group.Go(func() {
		for i := range (b.N + 1) / 2 {
			outbound <- struct{}{}
			business.say(b, readyMade(all[i%crowdSize].address, 80))
		}
	})
	group.Go(func() {
		for i := range b.N / 2 {
			inbound <- struct{}{}
			all[i%crowdSize].say(b, readyMade(business.address, 80))
		}
	})
	group.Wait()
	b.StopTimer()
	after := shared.taken(b)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
	b.ReportMetric(float64((after.server-before.server).Nanoseconds())/float64(b.N), "server-cpu-ns/op")
}

// digits are four that no other account has.
func digits() string {
	return fmt.Sprintf("%04d", strings.Count(rand.Text(), "A")*1000+int(time.Now().UnixNano()/1000%1000))
}
