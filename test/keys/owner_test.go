package keys_test

import (
	"net/http"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// remake recreates the tenant's account, as for a later owner of its names. It returns
// the UID that it had.
func (tn *tenant) remake() (former string) {
	tn.t.Helper()
	accounts := shared.Kube.Kube.CoreV1().ServiceAccounts(tn.namespace)
	account, err := accounts.Get(tn.t.Context(), tn.name, metav1.GetOptions{})
	must(tn.t, "reading the account", err)
	must(tn.t, "deleting the account", accounts.Delete(tn.t.Context(), tn.name, metav1.DeleteOptions{}))
	must(tn.t, "making the account again", shared.Kube.AddServiceAccount(tn.t.Context(), tn.namespace, tn.name))
	return string(account.UID)
}

func TestCredentials_LaterAccountOfTheSameNameReadsNone(t *testing.T) {
	acme, relay := established(t, "acme")
	made, err := relay.Access(t.Context(), 1)
	must(t, "making credentials", err)
	own := "kv/data/" + acme.namespace + "/" + acme.name
	_, err = shared.Root.KVv2("kv").Put(t.Context(), acme.namespace+"/"+acme.name+"/access/7", map[string]any{
		"accessToken": "t", "webhookSecret": "s", "verifyToken": "v",
	})
	must(t, "leaving credentials as they lay at first", err)
	owners := login(t, acme, roleCredentials)
	former := acme.remake()
	for _, role := range []string{roleCredentials, roleRelay} {
		if status := try(t, login(t, acme, role), http.MethodGet, own+"/access/"+former+"/1"); status != http.StatusForbidden {
			t.Errorf("%s reads the former account's credentials: %d", role, status)
		}
	}
	if status := try(t, login(t, acme, roleCredentials), http.MethodGet, own+"/access/7"); status != http.StatusForbidden {
		t.Errorf("credentials as they lay at first are read without the relay: %d", status)
	}
	if status := try(t, owners, http.MethodGet, own+"/access/"+former+"/1"); status != http.StatusOK {
		t.Errorf("the former account's own login reads its credentials: %d", status)
	}
	_, err = acme.client(roleCredentials).ReadAccess(t.Context(), 1)
	wantIs(t, "credentials of the later account", err, vault.ErrNotFound)
	later, err := acme.client(roleRelay).Access(t.Context(), 1)
	must(t, "making credentials of the later account", err)
	if later.AccessToken == made.AccessToken {
		t.Error("the later account has the former's token")
	}
}

func TestOwner_IsRecordedOnceAndChangedByAnAdminOnly(t *testing.T) {
	acme, relay := established(t, "acme")
	made, err := relay.Access(t.Context(), 1)
	must(t, "making credentials", err)
	number, err := phone.Parse("+15550001111")
	must(t, "parsing", err)
	first, err := relay.Own(t.Context(), number)
	must(t, "recording the owner", err)
	acme.remake()
	second := acme.client(roleRelay)
	account, err := second.Account(t.Context())
	must(t, "asking whom Vault takes the login for", err)
	if found, err := second.Own(t.Context(), number); err != nil || found != first || found.Account == account {
		t.Errorf("the later account found another owner than the first, or itself: %v", err)
	}
	own := "kv/data/" + acme.namespace + "/" + acme.name
	if status := try(t, login(t, acme, roleRelay), http.MethodPut, own+"/owner"); status != http.StatusForbidden {
		t.Errorf("the relay writes over the record: %d", status)
	}

	admin, err := vault.ForAdmin(shared.Root, shared.Vault.Contract(), acme.namespace, acme.name)
	must(t, "making an admin's client", err)
	for range 2 { // the second time there is nothing left to do
		must(t, "adopting", admin.Adopt(t.Context(), vault.Owner{Account: account, Number: number}))
	}
	if found, err := second.ReadOwner(t.Context()); err != nil || found.Account != account || found.Number != number {
		t.Errorf("the owner is not the one that was adopted: %v", err)
	}
	if kept, err := second.KeptAccess(t.Context(), 1); err != nil || kept != made {
		t.Errorf("the credentials are not those before: %v", err)
	}
	names, err := admin.Secrets(t.Context())
	must(t, "listing", err)
	for _, name := range names {
		if name == vault.AccessName(first.Account, 1) {
			t.Error("the credentials below the former account's UID are left")
		}
	}
}
