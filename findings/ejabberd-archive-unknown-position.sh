#!/bin/bash
# ejabberd 23.01: a client that asks for the archive after a position that the archive does not have is told that there
# is nothing more, complete, instead of item-not-found.
#
# A client keeps the archive's id of the last message that it has, and asks for what came after it. XEP-0313
# has the server answer item-not-found when the archive does not hold that id. Clients rely on it, as it tells them to start
# again, and Prosody answers so. ejabberd does not look the id up: it reads it as a time in microseconds and returns what is
# younger. An id that is no such number, as one from before the server's software was changed, gets the answer that the
# newest message gets: an empty page, complete='true'. The client then believes that it is up to date, and so it stays, since
# an empty page brings no new position. An id older than the whole archive gets the whole archive, so that nothing tells the
# client that messages in between have been removed.
# So: an empty page means "nothing new" only if the position is an id of this very server.
#
# Source: XEP-0313; github.com/processone/ejabberd issue 2924; and the output below.
. "$(dirname "$0")/lib/common.sh"
. "$lib/debian.sh"

xmpp_client <<'GO'
package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	"finding/client"
)

func ask(bob *client.Client, after string) (string, []client.Stanza) {
	set := ""
	if after != "" {
		set = "<set xmlns='http://jabber.org/protocol/rsm'><max>10</max><after>" + after + "</after></set>"
	}
	answer, came := bob.Ask("<iq type='set' id='archive'><query xmlns='urn:xmpp:mam:2'>" + set + "</query></iq>")
	said := fmt.Sprintf("%s %s %q", answer.Attr("type"), answer.Condition("item-not-found"), client.Bodies(came))
	if regexp.MustCompile(`<fin [^>]*complete=['"]true`).MatchString(answer.Inner) {
		said += " complete"
	}
	return strings.Join(strings.Fields(said), " "), came
}

func main() {
	addr := os.Args[1]
	bob, alice := client.Login(addr, "bob"), client.Login(addr, "alice")
	for _, text := range []string{"first", "second"} {
		alice.Send("<message to='bob@localhost' type='chat' id='m'><body>" + text + "</body></message>")
		alice.Ask("<iq type='get' id='ping'><ping xmlns='urn:xmpp:ping'/></iq>")
	}
	said, came := ask(bob, "")
	fmt.Println("everything:", said)
	said, _ = ask(bob, regexp.MustCompile(`<result [^>]*\bid=['"]([^'"]+)`).FindStringSubmatch(came[0].Inner)[1])
	fmt.Println("after the first message:", said)
	said, _ = ask(bob, "f7b0c9e2-5f0e-4b0e-9c39-0b8a7a3f3c11")
	fmt.Println("after an id of another server:", said)
	said, _ = ask(bob, "1600000000000000")
	fmt.Println("after an id that is no longer there:", said)
}
GO
prosody 'modules_enabled = { "roster", "saslauth", "register", "ping", "mam" }' 'storage = "internal"'
expect 'everything: result ["first" "second"] complete
after the first message: result ["second"] complete
after an id of another server: error item-not-found []
after an id that is no longer there: error item-not-found []' ./client "127.0.0.1:$port"
ejabberd 'mod_mam: { default: always }' 'mod_ping: {}'
expect 'everything: result ["first" "second"] complete
after the first message: result ["second"] complete
after an id of another server: result [] complete
after an id that is no longer there: result ["first" "second"] complete' ./client "127.0.0.1:$port"
