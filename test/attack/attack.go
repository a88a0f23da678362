// Package attack is what somebody who got hold of one part of Relaykeep could try
// with it: each attempt says who tries what and what stops it, and stands beside the
// same command by the rightful owner, which must succeed. The tests on the cluster
// make the attempts, docs/threat-model.md lists them. It must not know how the
// environment is made.
package attack

import (
	"fmt"
	"slices"
	"strings"
)

// All returns all attempts, in the order of the threat model.
func All() []Attempt {
	return slices.Concat(atVault(), acrossRoles(), atReceipts(), onTheNetwork(), atTheAPI(), byTheOperator(), byTheOperatorsPods(), byTheOperatorsObjects(), byTheClerk(), atTheSharedHost(), atThePromise(), byHolders(), withReceiversCredentials(), aboutNumbers(), onMoves(), atTheLimits(), atTheCopies())
}

// Table returns the attempts as a table in Markdown.
func Table() string {
	var out strings.Builder
	out.WriteString("| # | who | tries | stopped by | works for |\n|---|---|---|---|---|\n")
	for i, a := range All() {
		fmt.Fprintf(&out, "| %d | %s | %s | %s | %s |\n", i+1, a.Who, a.Tries, a.Stopped, a.Owner)
	}
	return out.String()
}
