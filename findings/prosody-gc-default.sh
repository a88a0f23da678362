#!/bin/bash
# Prosody 0.12: by default Lua's garbage collector takes half of a busy server's processor time, or more.
#
# One trusts that a server's defaults suit a server, and blames storage or TLS when it is slow. Prosody's default is
# gc = { mode = "incremental", threshold = 105, speed = 500 }: a collection begins as soon as memory has grown by 5 percent
# since the last one, and visits everything that is alive. Lua's own default is 200: when memory has doubled. With the single
# line gc = { threshold = 200 } the same messages take half to a third of the processor time.
# So: set the threshold on a busy server.
#
# Source: prosody-0.12.3, util/startup.lua (default_gc_params); Lua 5.4's manual, 2.5.1; and the output below.
. "$(dirname "$0")/lib/common.sh"
. "$lib/debian.sh"

xmpp_client <<'GO'
package main

import (
	"fmt"
	"os"

	"finding/client"
)

// Alice sends messages to bob, a hundred at a time.
func main() {
	alice, bob := client.Login(os.Args[1], "alice"), client.Login(os.Args[1], "bob")
	bob.Send("<presence/>")
	bob.Ask("<iq type='get' id='ping'><ping xmlns='urn:xmpp:ping'/></iq>")
	for range 200 {
		for i := range 100 {
			alice.Send(fmt.Sprintf("<message to='bob@localhost/here' type='chat' id='m%d'><body>Good morning</body></message>", i))
		}
		for range 100 {
			bob.Expect("message")
		}
	}
}
GO

# ticks prints the processor time that the server has used.
ticks() { awk '{ print $14 + $15 }' "/proc/${started[-1]}/stat"; }

for setting in 105 200; do
	# The first server is left at its default.
	prosody 'modules_enabled = { "roster", "saslauth", "register", "ping", "pep", "carbons", "smacks" }' \
		"$([ $setting = 105 ] || echo "gc = { threshold = $setting }")"
	before=$(ticks)
	look ./client "127.0.0.1:$port"
	used[setting]=$((($(ticks) - before) * 1000 / $(getconf CLK_TCK)))
	echo "threshold $setting: 20,000 messages take ${used[setting]} ms of the server's processor"
	stop
done
[ $((used[105] * 2)) -ge $((used[200] * 3)) ] || changed "expected at least one and a half times as much for the default"
