#!/bin/bash
# Prosody 0.12 answers a stranger who reads a PEP node with the same error whether the account does not exist, has no such node, or
# shows it to its contacts alone.
#
# XEP-0060 has an error for each: item-not-found for a node that does not exist, not-authorized with
# presence-subscription-required for one that only contacts may read. RFC 6121 has service-unavailable for an account that
# does not exist. A client of OMEMO would tell its user which it was: there is no such address; they do not use encryption; they
# have to accept you as a contact first. Prosody says forbidden to all of it.
# So: do not conclude from forbidden that a contact request will help, nor that the address exists. A message comes back with
# service-unavailable where there is no account.
#
# Source: XEP-0060, 6.5.9; RFC 6121, 8.5.1; prosody-0.12.3, mod_pep.lua and util/pubsub.lua; and the output below.
. "$(dirname "$0")/lib/common.sh"
. "$lib/debian.sh"

xmpp_client <<'GO'
package main

import (
	"fmt"
	"os"
	"regexp"

	"finding/client"
)

const (
	pubsub = "http://jabber.org/protocol/pubsub"
	node   = "eu.siacs.conversations.axolotl.devicelist"
)

var condition = regexp.MustCompile(`<([a-z-]+) xmlns=['"]urn:ietf:params:xml:ns:xmpp-stanzas['"]`)

func publish(c *client.Client, access string) {
	answer, _ := c.Ask("<iq type='set' id='p'><pubsub xmlns='" + pubsub + "'><publish node='" + node + "'><item id='current'><list xmlns='eu.siacs.conversations.axolotl'/></item></publish>" +
		"<publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>" + pubsub + "#publish-options</value></field>" +
		"<field var='pubsub#access_model'><value>" + access + "</value></field></x></publish-options></pubsub></iq>")
	fmt.Printf("published for %s: %s\n", access, answer.Attr("type"))
}

func read(c *client.Client, what, who string) {
	answer, _ := c.Ask("<iq type='get' id='g' to='" + who + "@localhost'><pubsub xmlns='" + pubsub + "'><items node='" + node + "'/></pubsub></iq>")
	why := answer.Attr("type")
	if m := condition.FindStringSubmatch(answer.Inner); m != nil {
		why += ", " + m[1]
	}
	fmt.Printf("%s: %s\n", what, why)
}

func main() {
	addr := os.Args[1]
	client.Login(addr, "silent").Close()
	publish(client.Login(addr, "hidden"), "presence")
	publish(client.Login(addr, "open"), "open")
	bob := client.Login(addr, "bob")
	read(bob, "an account that does not exist", "nobody")
	read(bob, "one without the node", "silent")
	read(bob, "one that shows it to contacts", "hidden")
	read(bob, "one that shows it to all", "open")
	for _, who := range []string{"nobody", "hidden"} {
		bob.Send("<message to='" + who + "@localhost' type='chat' id='m'><body>Hello</body></message>")
		_, came := bob.Ask("<iq type='get' id='ping'><ping xmlns='urn:xmpp:ping'/></iq>")
		fmt.Printf("a message to %s: %d answers", who, len(came))
		for _, s := range came {
			fmt.Printf(", %s", condition.FindStringSubmatch(s.Inner)[1])
		}
		fmt.Println()
	}
}
GO
prosody 'modules_enabled = { "roster", "saslauth", "register", "ping", "pep" }' 'storage = "internal"'
expect 'published for presence: result
published for open: result
an account that does not exist: error, forbidden
one without the node: error, forbidden
one that shows it to contacts: error, forbidden
one that shows it to all: result
a message to nobody: 1 answers, service-unavailable
a message to hidden: 0 answers' ./client "127.0.0.1:$port"
