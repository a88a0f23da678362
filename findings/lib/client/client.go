// Package client is the least XMPP client that a finding needs: a script writes stanzas as text and reads
// them as text, so that nothing of a library's stands between it and the server. Accounts are made on the way.
// Everything that fails ends the program: it shows nothing then.
package client

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

// Domain is the server's.
const Domain = "localhost"

// Client is a stream to the server.
type Client struct {
	Conn     net.Conn
	Features string // of the latest stream, as the server wrote them
	in       *xml.Decoder
}

// Stanza is an element at the top of the stream.
type Stanza struct {
	XMLName xml.Name
	Attrs   []xml.Attr `xml:",any,attr"`
	Inner   string     `xml:",innerxml"`
}

// Attr returns an attribute, "" for none.
func (s Stanza) Attr(name string) string {
	for _, a := range s.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// Condition returns the name of the first of these elements that a stanza contains, "" for none.
func (s Stanza) Condition(names ...string) string {
	for _, n := range names {
		if strings.Contains(s.Inner, "<"+n) {
			return n
		}
	}
	return ""
}

// Die ends the program unless err is nil.
func Die(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(2)
	}
}

// Dial opens a stream without encryption and without a login. Every answer must come within 30 seconds.
func Dial(addr string) *Client {
	conn, err := net.Dial("tcp", addr)
	Die(err)
	c := &Client{Conn: conn}
	c.open()
	return c
}

func (c *Client) open() {
	c.in = xml.NewDecoder(c.Conn)
	c.Send("<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='" + Domain + "' version='1.0'>")
	for {
		Die(c.Conn.SetReadDeadline(time.Now().Add(30 * time.Second)))
		t, err := c.in.Token()
		Die(err)
		if e, ok := t.(xml.StartElement); ok && e.Name.Local == "stream" {
			break
		}
	}
	c.Features = c.Next().Inner
}

// StartTLS encrypts the stream with that version of TLS; nobody checks the certificate.
func (c *Client) StartTLS(version uint16) tls.ConnectionState {
	c.Send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
	c.Expect("proceed")
	conn := tls.Client(c.Conn, &tls.Config{ServerName: Domain, InsecureSkipVerify: true, MinVersion: version, MaxVersion: version})
	Die(conn.Handshake())
	c.Conn = conn
	c.open()
	return conn.ConnectionState()
}

// Login opens a stream as user@localhost/here, whose account is made if there is none.
func Login(addr, user string) *Client {
	c := Dial(addr)
	c.Ask("<iq type='set' id='register'><query xmlns='jabber:iq:register'><username>" + user + "</username><password>secret</password></query></iq>")
	c = Dial(addr)
	c.Send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" +
		base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00secret")) + "</auth>")
	c.Expect("success")
	c.open()
	c.Ask("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>here</resource></bind></iq>")
	return c
}

// Send writes text.
func (c *Client) Send(text string) {
	_, err := c.Conn.Write([]byte(text))
	Die(err)
}

// Close ends the stream, and returns when the server has ended it too: then the user is offline.
func (c *Client) Close() {
	c.Send("</stream:stream>")
	for {
		if _, err := c.within(30 * time.Second); err != nil {
			c.Conn.Close()
			return
		}
	}
}

// Next reads the next element.
func (c *Client) Next() Stanza {
	s, err := c.within(30 * time.Second)
	Die(err)
	return s
}

// Expect reads the next element, which must have that name.
func (c *Client) Expect(name string) Stanza {
	s := c.Next()
	if s.XMLName.Local != name {
		Die(fmt.Errorf("the server answered <%s>%s, not <%s>", s.XMLName.Local, s.Inner, name))
	}
	return s
}

// Ask sends an iq and returns its answer, and what came before that.
func (c *Client) Ask(iq string) (answer Stanza, before []Stanza) {
	var q Stanza
	Die(xml.Unmarshal([]byte(iq), &q))
	c.Send(iq)
	for {
		s := c.Next()
		if s.XMLName.Local == "iq" && s.Attr("id") == q.Attr("id") && s.Attr("type") != "set" {
			return s, before
		}
		before = append(before, s)
	}
}

// Bodies returns the texts of messages, in their order.
func Bodies(stanzas []Stanza) []string {
	texts := []string{}
	for _, s := range stanzas {
		if _, text, found := strings.Cut(s.Inner, "<body>"); found && s.XMLName.Local == "message" {
			text, _, _ = strings.Cut(text, "</body>")
			texts = append(texts, text)
		}
	}
	return texts
}

func (c *Client) within(d time.Duration) (Stanza, error) {
	Die(c.Conn.SetReadDeadline(time.Now().Add(d)))
	for {
		t, err := c.in.Token()
		if err != nil {
			return Stanza{}, err
		}
		switch e := t.(type) {
		case xml.StartElement:
			var s Stanza
			err := c.in.DecodeElement(&s, &e)
			return s, err
		case xml.CharData:
			if len(bytes.TrimSpace(e)) > 0 {
				return Stanza{}, fmt.Errorf("text between stanzas")
			}
		case xml.EndElement:
			return Stanza{}, fmt.Errorf("the server ended the stream")
		}
	}
}
