#!/bin/bash
# Prosody 0.12 with mod_vcard_legacy: a client that writes its vCard (XEP-0054) without a photo loses the avatar that it published in
# PEP (XEP-0084), and with it the picture that others see.
#
# The module shows what is in PEP as a vCard and the other way round, so that old and new clients see the same. One takes a vCard
# for a set of fields, of which an absent one is left alone: write a name, and the picture stays. But a vCard is replaced as a
# whole, so one without PHOTO says that there is no photo, and the module empties both nodes of the avatar. Clients that publish
# an avatar and then write a vCard with a name alone end without a picture, and get no error.
# So: write the vCard first and publish the avatar afterwards, or repeat the photo in each vCard.
#
# Source: prosody-0.12.3, mod_vcard_legacy.lua (the handler for setting vcard-temp); and the output below.
. "$(dirname "$0")/lib/common.sh"
. "$lib/debian.sh"

xmpp_client <<'GO'
package main

import (
	"fmt"
	"os"
	"strings"

	"finding/client"
)

const (
	pubsub = "http://jabber.org/protocol/pubsub"
	// A picture of one pixel, and its SHA-1.
	picture = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
	id      = "4a5eb7171b58e08a6881721e3b43d5a44419a2be"
)

func publish(c *client.Client, node, payload string) {
	answer, _ := c.Ask("<iq type='set' id='p'><pubsub xmlns='" + pubsub + "'><publish node='" + node + "'><item id='" + id + "'>" + payload + "</item></publish></pubsub></iq>")
	fmt.Printf("publishing %s: %s\n", node, answer.Attr("type"))
}

func has(c *client.Client, when string) {
	for _, node := range []string{"urn:xmpp:avatar:data", "urn:xmpp:avatar:metadata"} {
		answer, _ := c.Ask("<iq type='get' id='g'><pubsub xmlns='" + pubsub + "'><items node='" + node + "'/></pubsub></iq>")
		fmt.Printf("%s: %s: %s, has the picture: %v\n", when, node, answer.Attr("type"), strings.Contains(answer.Inner, id))
	}
}

func main() {
	alice := client.Login(os.Args[1], "alice")
	publish(alice, "urn:xmpp:avatar:data", "<data xmlns='urn:xmpp:avatar:data'>"+picture+"</data>")
	publish(alice, "urn:xmpp:avatar:metadata", "<metadata xmlns='urn:xmpp:avatar:metadata'><info id='"+id+"' type='image/png' bytes='70' width='1' height='1'/></metadata>")
	has(alice, "published")
	answer, _ := alice.Ask("<iq type='set' id='v'><vCard xmlns='vcard-temp'><FN>Alice</FN></vCard></iq>")
	fmt.Printf("writing a vCard with a name: %s\n", answer.Attr("type"))
	has(alice, "afterwards")
}
GO
prosody 'modules_enabled = { "roster", "saslauth", "register", "ping", "pep", "vcard_legacy" }' 'storage = "internal"'
expect 'publishing urn:xmpp:avatar:data: result
publishing urn:xmpp:avatar:metadata: result
published: urn:xmpp:avatar:data: result, has the picture: true
published: urn:xmpp:avatar:metadata: result, has the picture: true
writing a vCard with a name: result
afterwards: urn:xmpp:avatar:data: result, has the picture: false
afterwards: urn:xmpp:avatar:metadata: result, has the picture: false' ./client "127.0.0.1:$port"
