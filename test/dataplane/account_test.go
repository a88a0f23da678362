package dataplane_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/access"
	"github.com/relaykeep/relaykeep/relay/serve"
)

// writeAccount writes the account file, as the kubelet mounts it.
func writeAccount(t *testing.T, dir string, numbers ...contract.AccountNumber) {
	t.Helper()
	data, err := json.Marshal(contract.Account{Version: contract.AccountVersion, Numbers: numbers})
	check(t, err)
	check(t, os.WriteFile(filepath.Join(dir, contract.AccountFile), data, 0o600))
}

// TestBusinessAccount_OfSeveralNumbers covers what a relay knows of the account that it shares: the id in answers,
// status and webhooks, numbers that come and go while it runs, and a token of all relays.
func TestBusinessAccount_OfSeveralNumbers(t *testing.T) {
	t.Parallel()
	b, other := newBusiness(t), newBusiness(t)
	dir := t.TempDir()
	inShop := func(o *serve.Options) { o.AccountDir = dir }
	b.Config.BusinessAccount = "shop"
	id := contract.BusinessAccountID(b.Namespace, "shop")
	b.StartReady(inShop)
	other.StartReady()
	if got := b.Report().BusinessAccountID; got != id {
		t.Errorf("the status has the account %s, want %s", got, id)
	}
	numbers := func() string {
		status, answer := b.Ask(http.MethodGet, "/"+id+"/phone_numbers", "", nil)
		if status != http.StatusOK || !strings.Contains(answer, b.NumberID) {
			t.Errorf("the numbers: %d %s", status, answer)
		}
		return answer
	}
	const second = "123456789012345"
	if strings.Contains(numbers(), second) {
		t.Error("a number is listed before it is known")
	}
	writeAccount(t, dir, contract.AccountNumber{ID: second, PhoneNumber: "+493023125107", Name: "Shop Two", Connected: true})
	if got := numbers(); !strings.Contains(got, second) || !strings.Contains(got, "Shop Two") {
		t.Errorf("the other number is not listed: %s", got)
	}
	if status, answer := b.Ask(http.MethodPost, "/"+second+"/messages", "application/json", []byte(`{}`)); status != http.StatusBadRequest || !strings.Contains(answer, `"code":100`) {
		t.Errorf("through another's number: %d %s", status, answer)
	}
	check(t, os.WriteFile(filepath.Join(dir, contract.AccountFile), []byte("{"), 0o600))
	if strings.Contains(numbers(), second) {
		t.Error("a number of a damaged file is listed")
	}
	p := newPerson(t)
	p.Says(b, "to which account")
	b.WaitText("to which account")
	if got := string(b.Bodies()[0]); !strings.Contains(got, `"id":"`+id+`"`) {
		t.Errorf("the webhook names another account: %s", got)
	}

	secret, hash := access.NewSecret()
	for _, relay := range []*business{b, other} {
		relay.Hide(secret)
		body := fmt.Appendf(nil, `{"name":"inbox","scopes":["read"],"sha256":"%x"}`, hash)
		if status, answer := relay.Request(http.MethodPost, "/access_tokens", relay.Token, body); status != http.StatusOK {
			t.Fatalf("adding the token: %d %s", status, answer)
		}
		if status := relay.allowed(secret); status != http.StatusOK {
			t.Errorf("with the token of all relays: %d", status)
		}
		if status, _ := relay.Request(http.MethodGet, "/customers", secret, nil); status != http.StatusForbidden {
			t.Errorf("beyond its scopes: %d", status)
		}
	}
	if status, answer := other.Request(http.MethodDelete, "/access_tokens/inbox", other.Token, nil); status != http.StatusOK {
		t.Errorf("revoking: %d %s", status, answer)
	}
	if got := [2]int{b.allowed(secret), other.allowed(secret)}; got != [2]int{http.StatusOK, http.StatusUnauthorized} {
		t.Errorf("after one relay revoked it: %d", got)
	}
	b.NothingLeaked()
	b.Stop()
	b.Config.BusinessAccount = ""
	b.StartReady()
	if got := b.Report().BusinessAccountID; got == id || got == "" {
		t.Errorf("out of the group its account is %q", got)
	}
}
