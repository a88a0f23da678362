package keys_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/receipt"
	"github.com/relaykeep/relaykeep/relay/retention"
	"github.com/relaykeep/relaykeep/relay/vault"
	vaulttest "github.com/relaykeep/relaykeep/test/services/vault"
)

// receiptsOf reads a tenant's receipts of one writer as its relay does.
func receiptsOf(t *testing.T, c *vault.Client, by receipt.Writer) []receipt.Receipt {
	t.Helper()
	names, err := c.ReceiptNames(t.Context(), by, time.Time{})
	must(t, "listing receipts", err)
	receipts := make([]receipt.Receipt, 0, len(names))
	for _, name := range names {
		r, err := c.Receipt(t.Context(), name)
		must(t, "reading the receipt "+name.String(), err)
		receipts = append(receipts, r)
	}
	return receipts
}

func TestReceiptsSayWhatJanitorKeeperAndErasureDestroyed(t *testing.T) {
	acme, relay := established(t, "acme")
	janitor := acme.client(roleJanitor)
	if result := janitorRun(t, janitor, 30, 0); result.Receipt != contract.ReceiptWritten {
		t.Fatalf("result is %+v", result)
	}
	must(t, "rotating", janitor.Rotate(t.Context()))
	_, err := vaulttest.AgeKey(t.Context(), shared.Root, acme.namespace+"."+acme.name, 31*24*time.Hour)
	must(t, "making the key older", err)
	kept, err := retention.Keep(t.Context(), retention.RegionAt(theKeeper(t).keeper()), retention.DefaultLimits(), 0, nil)
	if must(t, "keeping", err); kept.Receipt != contract.ReceiptWritten {
		t.Errorf("the keeper's result is %+v", kept)
	}
	janitorRun(t, janitor, 30, time.Hour)
	erased, err := retention.Erase(t.Context(), janitor, nil)
	if must(t, "erasing", err); erased.Receipt != contract.ReceiptWritten {
		t.Errorf("the erasure is %+v", erased)
	}

	byJanitor, byKeeper := receiptsOf(t, relay, receipt.Janitor), receiptsOf(t, relay, receipt.Keeper)
	if len(byJanitor) != 3 || len(byKeeper) != 1 {
		t.Fatalf("the janitor left %+v, the keeper %+v", byJanitor, byKeeper)
	}
	if r := byKeeper[0]; r.Latest != 3 || r.Below != 3 || len(r.Destroyed) != 1 || r.Destroyed[0].From != 1 || r.Destroyed[0].Newest == nil {
		t.Errorf("the keeper's receipt is %+v", r)
	}
	var trail receipt.Trail
	deleted := false
	for _, r := range byJanitor {
		if r.Deleted {
			deleted = true
			continue
		}
		if r.Below == 3 {
			trail.Add(byKeeper[0])
		}
		trail.Add(r)
	}
	if !deleted || trail.Count(receipt.Versions)+trail.Count(receipt.Returned) != 0 || trail.Below != 3 {
		t.Errorf("the trail is %+v", trail)
	}
}

// Receipts can be added by who destroys, in the own folder, and changed or removed by nobody but Vault's admin.
func TestReceipts_NobodyButTheirWriterAddsThemAndNobodyChangesThem(t *testing.T) {
	acme, relay := established(t, "acme")
	globex, _ := established(t, "globex")
	janitorRun(t, acme.client(roleJanitor), 30, 0)
	names, err := relay.ReceiptNames(t.Context(), receipt.Janitor, time.Time{})
	if must(t, "listing receipts", err); len(names) != 1 {
		t.Fatalf("there are %d receipts", len(names))
	}
	logins := map[string]*tenant{roleRelay: acme, roleJanitor: acme, roleCredentials: acme, roleKeeper: theKeeper(t), "another's janitor": globex, "another's relay": globex}
	own := "/" + acme.namespace + "/" + acme.name + "/"
	there := own + names[0].String()
	for who, tn := range logins {
		role := who
		switch who {
		case "another's janitor":
			role = roleJanitor
		case "another's relay":
			role = roleRelay
		}
		c := login(t, tn, role)
		allowed := map[string]int{}
		switch who {
		case roleRelay:
			allowed["GET kv-receipts/data"+there] = http.StatusOK
			allowed["LIST kv-receipts/metadata"+own+"janitor"] = http.StatusOK
		case roleJanitor:
			allowed["PUT kv-receipts/data"+own+"janitor/2026-01/own"] = http.StatusOK
		case roleKeeper:
			allowed["PUT kv-receipts/data"+own+"keeper/2026-01/own"] = http.StatusOK
		}
		for _, attempt := range []string{
			"PUT kv-receipts/data" + own + "janitor/2026-01/own", "PUT kv-receipts/data" + own + "keeper/2026-01/own", "PUT kv-receipts/data" + own + "admin/2026-01/own",
			"PUT kv-receipts/data" + there, "GET kv-receipts/data" + there, "DELETE kv-receipts/data" + there, "PUT kv-receipts/delete" + there,
			"PUT kv-receipts/destroy" + there, "PUT kv-receipts/undelete" + there, "GET kv-receipts/metadata" + there, "PUT kv-receipts/metadata" + there,
			"DELETE kv-receipts/metadata" + there, "LIST kv-receipts/metadata" + own + "janitor", "LIST kv-receipts/metadata", "GET kv-receipts/config", "PUT kv-receipts/config",
		} {
			want, may := allowed[attempt]
			if !may {
				want = http.StatusForbidden
			}
			method, path, _ := strings.Cut(attempt, " ")
			if got := try(t, c, method, path); got != want {
				t.Errorf("%s: %s answers %d, want %d", who, attempt, got, want)
			}
		}
	}
	// What was put once is what is read, whoever tried.
	r, err := relay.Receipt(t.Context(), names[0])
	if must(t, "reading the receipt", err); r.By != receipt.Janitor || r.Below != 1 {
		t.Errorf("the receipt is %+v", r)
	}
	for _, path := range []string{"janitor", "keeper"} {
		if got := try(t, login(t, map[string]*tenant{"janitor": acme, "keeper": theKeeper(t)}[path], map[string]string{"janitor": roleJanitor, "keeper": roleKeeper}[path]), "PUT", "kv-receipts/data"+own+path+"/2026-01/own"); got != http.StatusForbidden {
			t.Errorf("the %s overwrites its own receipt: %d", path, got)
		}
	}
}

// A foreign entry among the receipts is no receipt, and does not hide the others.
func TestReceipt_ThatIsNoneIsNotTaken(t *testing.T) {
	acme, relay := established(t, "acme")
	c := login(t, acme, roleJanitor)
	now, err := relay.Now(t.Context())
	must(t, "asking for the time", err)
	name := receipt.NewName(receipt.Janitor, now)
	own := "kv-receipts/data/" + acme.namespace + "/" + acme.name + "/"
	for _, path := range []string{name.String(), "janitor/2026-01/odd", "janitor/odd", "janitor/2026-01/deeper/odd"} {
		if status := try(t, c, "PUT", own+path); status != http.StatusOK {
			t.Fatalf("planting %s answers %d", path, status)
		}
	}
	janitorRun(t, acme.client(roleJanitor), 30, 0)
	names, err := relay.ReceiptNames(t.Context(), receipt.Janitor, time.Time{})
	if must(t, "listing", err); len(names) != 2 {
		t.Fatalf("names are %v", names)
	}
	_, err = relay.Receipt(t.Context(), name)
	wantIs(t, "an empty entry", err, vault.ErrForeignContent)
	if later, err := relay.ReceiptNames(t.Context(), receipt.Janitor, now.Add(time.Hour)); err != nil || len(later) != 0 {
		t.Errorf("from an hour later on: %v, %v", later, err)
	}
}

// Where Vault was set up by an earlier release, everything is destroyed as ever, and the result says what is missing.
func TestErasureGoesOnWithoutAPlaceForReceipts(t *testing.T) {
	server, root := anotherVault(t)
	must(t, "removing what this release sets up", root.Sys().UnmountWithContext(t.Context(), "kv-receipts"))
	for _, role := range []string{roleJanitor, roleKeeper, roleRelay} {
		policy, err := root.Sys().GetPolicyWithContext(t.Context(), role)
		must(t, "reading a policy", err)
		before, _, found := strings.Cut(policy, "# What")
		_, after, _ := strings.Cut(policy, "path \"auth/token/revoke-self\"")
		if role == roleRelay {
			_, after, _ = strings.Cut(policy, "path \"transit/keys/")
			after = "path \"transit/keys/" + after
		} else {
			after = "path \"auth/token/revoke-self\"" + after
		}
		if !found || strings.Contains(before+after, "receipts/") {
			t.Fatalf("policy of an earlier release: %s", before+after)
		}
		must(t, "writing a policy", root.Sys().PutPolicyWithContext(t.Context(), role, before+after))
	}
	acme := newTenant(t, "acme")
	janitor, relay := acme.at(server, roleJanitor), acme.at(server, roleRelay)
	_, err := relay.EnsureKeys(t.Context(), month)
	must(t, "making keys", err)
	result := janitorRun(t, janitor, 30, 31*24*time.Hour)
	if result.Erased != 1 || result.Receipt != contract.ReceiptNotSetUp {
		t.Errorf("result is %+v", result)
	}
	_, err = relay.ReceiptNames(t.Context(), receipt.Janitor, time.Time{})
	wantIs(t, "the relay, listing", err, vault.ErrDenied)
	must(t, "the relay's other calls after that", relay.Ready())
	must(t, "the janitor's after that", janitor.Ready())
	cfg := theKeeper(t).config(roleKeeper)
	cfg.Vault = server.Contract()
	keeper, err := vault.NewKeeper(cfg)
	must(t, "making the keeper's client", err)
	kept, err := retention.Keep(t.Context(), retention.RegionAt(keeper), retention.DefaultLimits(), 70*24*time.Hour, nil)
	if must(t, "keeping", err); kept.Erased != 1 || kept.Receipt != contract.ReceiptNotSetUp {
		t.Errorf("the keeper's result is %+v", kept)
	}
	erased, err := retention.Erase(t.Context(), janitor, nil)
	if must(t, "erasing", err); erased.Receipt != contract.ReceiptNotSetUp {
		t.Errorf("the erasure is %+v", erased)
	}
	admin, err := vault.ForAdmin(root, server.Contract(), acme.namespace, acme.name)
	must(t, "making the admin's client", err)
	erased, err = retention.Erase(t.Context(), admin, nil)
	if must(t, "erasing as admin", err); erased.Receipt != contract.ReceiptNotSetUp {
		t.Errorf("the admin's erasure is %+v", erased)
	}
}
