#!/bin/bash
# ejabberd 23.01 with Mnesia, its default: when several accounts publish to new nodes at the same moment (PEP, XEP-0163),
# some of them get the error item-not-found, type cancel.
#
# The accounts share nothing, so one expects them not to affect each other. There is nothing to find, as publishing creates the
# node; and the type cancel says "do not retry". What happens: the transactions that create nodes lock each other out, Mnesia
# aborts one of two that would deadlock, and ejabberd reports the aborted one as a missing node. The same stanza succeeds
# when it is sent again.
# So: treat item-not-found in answer to a publication as temporary, and retry.
#
# Source: XEP-0163, 3 and XEP-0060, 7.1.4 (nodes that publishing makes); and the output below.
. "$(dirname "$0")/lib/common.sh"
. "$lib/debian.sh"

xmpp_client <<'GO'
package main

import (
	"fmt"
	"os"
	"sync"

	"finding/client"
)

// publish sends one item, and returns "" or type and condition of the error.
func publish(c *client.Client, node string) string {
	answer, _ := c.Ask("<iq type='set' id='publish'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='" + node +
		"'><item id='current'><list xmlns='urn:example:finding'/></item></publish></pubsub></iq>")
	if answer.Attr("type") == "result" {
		return ""
	}
	return answer.Condition("item-not-found", "internal-server-error", "resource-constraint", "conflict") + answer.Condition("error type='wait'")
}

const rounds = 40

func main() {
	var clients []*client.Client
	for _, user := range []string{"alice", "bob", "carol", "dave"} {
		clients = append(clients, client.Login(os.Args[1], user))
	}
	one, again, conditions := 0, 0, map[string]int{}
	for round := range rounds {
		node := fmt.Sprintf("urn:example:finding:%d", round)
		errors := make([]string, len(clients))
		var wg sync.WaitGroup
		for i, c := range clients {
			wg.Go(func() { errors[i] = publish(c, node) })
		}
		wg.Wait()
		for i, c := range clients {
			if errors[i] == "" {
				continue
			}
			conditions[errors[i]]++
			if publish(c, node) != "" {
				again++
			}
		}
		if publish(clients[0], fmt.Sprintf("urn:example:alone:%d", round)) != "" {
			one++
		}
	}
	fmt.Printf("of %d publications by one account at a time, %d failed\n", rounds, one)
	fmt.Printf("of %d by %d accounts at once, some failed with %v\n", rounds*len(clients), len(clients), conditions)
	fmt.Printf("of these, sent again one after another, %d failed\n", again)
}
GO
ejabberd 'mod_pubsub: { plugins: [flat, pep] }' 'mod_caps: {}' 'mod_roster: {}' 'mod_disco: {}'
expect_match 'of 40 publications by one account at a time, 0 failed
of 160 by 4 accounts at once, some failed with map\[item-not-found:[0-9]+\]
of these, sent again one after another, 0 failed' ./client "127.0.0.1:$port"
