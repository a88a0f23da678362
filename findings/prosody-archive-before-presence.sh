#!/bin/bash
# Prosody 0.12: a client that queries its archive (XEP-0313) before it sends presence gets no offline messages in that session,
# even if the query could not have returned them.
#
# The archive and the offline storage are two ways to messages that came while nobody was online, and one takes them for
# independent: ask the archive for the latest message of one chat, to show it, and presence then brings what waits. It brings
# nothing. Prosody remembers that this session queried the archive, not what for, and assumes that the client fetches
# everything from there. The messages are not lost. They stay in the offline storage, and the next session that does not
# query the archive first gets them, however old they are by then.
# So: send presence first, or read everything from the archive.
#
# Source: prosody-0.12.3, mod_mam.lua (mam_requested, message/offline/broadcast); and the output below.
. "$(dirname "$0")/lib/common.sh"
. "$lib/debian.sh"

xmpp_client <<'GO'
package main

import (
	"fmt"
	"os"

	"finding/client"
)

const latestOfCarol = "<iq type='set' id='archive'><query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='submit'>" +
	"<field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field><field var='with'><value>carol@localhost</value></field></x>" +
	"<set xmlns='http://jabber.org/protocol/rsm'><max>1</max><before/></set></query></iq>"

// session begins as bob, and says what came after presence.
func session(addr, name string, first ...string) {
	bob := client.Login(addr, "bob")
	for _, iq := range first {
		answer, came := bob.Ask(iq)
		fmt.Printf("%s: archive's answer: %s with %d messages\n", name, answer.Attr("type"), len(client.Bodies(came)))
	}
	bob.Send("<presence/>")
	// The server answers in order: what waits comes before this.
	_, came := bob.Ask("<iq type='get' id='ping'><ping xmlns='urn:xmpp:ping'/></iq>")
	fmt.Printf("%s: after presence: %q\n", name, client.Bodies(came))
	bob.Close()
}

func main() {
	addr := os.Args[1]
	client.Login(addr, "bob").Close()
	alice := client.Login(addr, "alice")
	write := func(text string) {
		alice.Send("<message to='bob@localhost' type='chat' id='m'><body>" + text + "</body></message>")
		alice.Ask("<iq type='get' id='ping'><ping xmlns='urn:xmpp:ping'/></iq>")
	}
	write("first")
	session(addr, "presence only")
	write("second")
	session(addr, "carol's chat first", latestOfCarol)
	session(addr, "presence only")
}
GO
prosody 'modules_enabled = { "roster", "saslauth", "register", "ping", "mam", "offline" }' 'storage = "internal"'
expect 'presence only: after presence: ["first"]
carol'"'"'s chat first: archive'"'"'s answer: result with 0 messages
carol'"'"'s chat first: after presence: []
presence only: after presence: ["second"]' ./client "127.0.0.1:$port"
