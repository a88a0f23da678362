package contract_test

import (
	"testing"

	"github.com/relaykeep/relaykeep/api/contract"
)

func TestBusinessAccountID_IsStableAndTheGroupsOwn(t *testing.T) {
	// Clients keep ids: they stay as they were once given.
	if got, want := contract.BusinessAccountID("acme", "acme"), "171273356804443"; got != want {
		t.Errorf("the id is %s, and was %s", got, want)
	}
	seen := map[string]bool{}
	for _, namespace := range []string{"acme", "acme-", "globex"} {
		for _, account := range []string{"acme", "shop", "a"} {
			id := contract.BusinessAccountID(namespace, account)
			if len(id) != 15 || id[0] == '0' || seen[id] {
				t.Errorf("%s in %s is %s", account, namespace, id)
			}
			seen[id] = true
		}
	}
}
