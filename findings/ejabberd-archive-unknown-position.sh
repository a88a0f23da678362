#!/bin/bash
# ejabberd 23.01: a client that asks for the archive after a position that the archive does not have is told "complete, nothing
# more" instead of item-not-found.
#
# A client remembers the archive's id of the last message that it has, and asks for what came after it. By XEP-0313 a server
# answers item-not-found when its archive does not hold that id. Clients rely on this: it tells them to start again. Prosody
# does so. ejabberd does not look the id up. It reads the id as a time in microseconds and returns younger messages. An id that
# is no such number, for example one that another server gave before a migration, gets an empty page with complete='true', as
# the id of the newest message does. The client believes that it is up to date, and goes on believing it, since an empty page
# brings no new position. An id that is older than the whole archive gets the whole archive, and nothing tells the client that
# messages in between were removed.
# So: an empty page means "nothing new" only if the position came from this very server.
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
