#!/bin/bash
# ejabberd 23.01: alice adds bob, bob accepts and adds her in return, alice accepts. Both are online and want to be told of a
# node ("+notify", XEP-0163). Alice is not sent what bob had published, and bob is not told of what alice publishes from now on.
#
# One expects that a new contact is sent the last items, and told of later ones. What happens: ejabberd keeps with each
# session what the user's contacts want to be told. It reads that in a contact's presence, but only if it arrives once the user has
# accepted the contact; and it sends the last items when the user accepts, not when that presence arrives. Bob accepts before he
# can have alice's presence, and his arrives before she has accepted. Until one of them logs in again, it stays so.
# So: when a contact has accepted, send them your presence again; and when theirs arrives, send them
# <presence type='subscribed'/> again, which changes nothing else.
#
# Source: XEP-0163, 4.3 (who is notified); XEP-0060, 12.12 (when last items are sent); and the output below.
. "$(dirname "$0")/lib/common.sh"
. "$lib/debian.sh"

xmpp_client <<'GO'
package main

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"os"
	"strings"

	"finding/client"
)

const (
	disco = "http://jabber.org/protocol/disco#info"
	node  = "urn:example:finding"
)

// version is the hash of what both clients can do (XEP-0115).
func version() string {
	sum := sha1.Sum([]byte("client/bot//finding<" + disco + "<" + node + "+notify<"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func caps() string {
	return "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:example' ver='" + version() + "'/>"
}

type person struct {
	*client.Client
	name string
	told []string // the items of others that arrived
}

// note answers questions about what the client can do, and notes what it is told.
func (p *person) note(s client.Stanza) {
	if s.XMLName.Local == "iq" && s.Attr("type") == "get" && strings.Contains(s.Inner, disco) {
		p.Send("<iq type='result' id='" + s.Attr("id") + "' to='" + s.Attr("from") + "'><query xmlns='" + disco + "' node='urn:example#" + version() +
			"'><identity category='client' type='bot' name='finding'/><feature var='" + disco + "'/><feature var='" + node + "+notify'/></query></iq>")
	}
	if s.XMLName.Local == "message" && !strings.HasPrefix(s.Attr("from"), p.name) {
		for _, item := range []string{"first", "second", "third", "fourth"} {
			if strings.Contains(s.Inner, "<item id='"+item+"'") {
				p.told = append(p.told, item)
			}
		}
	}
}

// ask sends a request and waits for its answer.
func (p *person) ask(iq string) {
	_, before := p.Ask(iq)
	for _, s := range before {
		p.note(s)
	}
}

// waits reads up to a presence of that type from somebody else.
func (p *person) waits(kind string) {
	for {
		s := p.Next()
		p.note(s)
		if s.XMLName.Local == "presence" && s.Attr("type") == kind && !strings.HasPrefix(s.Attr("from"), p.name) {
			return
		}
	}
}

func (p *person) publish(item string) {
	p.ask("<iq type='set' id='" + item + "'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='" + node +
		"'><item id='" + item + "'><x xmlns='" + node + "'/></item></publish></pubsub></iq>")
}

func (p *person) presence(to, kind string) {
	p.Send("<presence to='" + to + "@" + client.Domain + "' type='" + kind + "'/>")
}

func main() {
	alice, bob := &person{Client: client.Login(os.Args[1], "alice"), name: "alice"}, &person{Client: client.Login(os.Args[1], "bob"), name: "bob"}
	both := []*person{alice, bob}
	// A message to somebody comes after all that the server had for them before.
	settle := func() {
		for range 2 {
			for i, p := range both {
				p.Send("<message to='" + both[1-i].name + "@" + client.Domain + "/here' id='settle'><body>settle</body></message>")
			}
			for _, p := range both {
				for s := p.Next(); ; s = p.Next() {
					p.note(s)
					if s.Attr("id") == "settle" {
						break
					}
				}
				p.ask("<iq type='get' id='ping' to='" + client.Domain + "'><ping xmlns='urn:xmpp:ping'/></iq>")
			}
		}
	}
	for _, p := range both {
		p.ask("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>")
		p.Send("<presence>" + caps() + "</presence>")
	}
	settle()
	bob.publish("first")

	alice.presence("bob", "subscribe")
	bob.waits("subscribe")
	bob.presence("alice", "subscribe")
	bob.presence("alice", "subscribed")
	alice.waits("subscribe")
	alice.waits("")
	alice.presence("bob", "subscribed")
	bob.waits("")
	settle()
	fmt.Println("both are contacts; alice is told:", alice.told, "bob is told:", bob.told)

	bob.publish("second")
	alice.publish("third")
	settle()
	fmt.Println("both have published; alice is told:", alice.told, "bob is told:", bob.told)

	bob.Send("<presence to='alice@" + client.Domain + "'>" + caps() + "</presence>")
	bob.presence("alice", "subscribed")
	settle()
	alice.publish("fourth")
	settle()
	fmt.Println("bob has shown his presence and accepted again; alice is told:", alice.told, "bob is told:", bob.told)
}
GO
ejabberd 'mod_pubsub: { plugins: [flat, pep] }' 'mod_caps: {}' 'mod_roster: {}' 'mod_disco: {}' 'mod_ping: {}'
expect 'both are contacts; alice is told: [] bob is told: []
both have published; alice is told: [second] bob is told: []
bob has shown his presence and accepted again; alice is told: [second second] bob is told: [fourth]' ./client "127.0.0.1:$port"
