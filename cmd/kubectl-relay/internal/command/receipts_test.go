package command

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/relaykeep/relaykeep/relay/receipt"
	"github.com/relaykeep/relaykeep/relay/retention"
	relayvault "github.com/relaykeep/relaykeep/relay/vault"
)

func TestReceiptsAreShownHeldAgainstAnAuditFileAndRemovedWhenTheyExpire(t *testing.T) {
	k := startKubernetes(t)
	server := k.startVault(t)
	k.createAcme(t)
	noVaultInEnvironment(t)
	kubeconfig := "--kubeconfig=" + k.kubeconfig
	t.Setenv("VAULT_TOKEN", rootToken(t, server))
	show := []string{"receipts", "acme", "-n", "acme", kubeconfig}
	out, _, err := run(t, show...)
	if check(t, err); !strings.Contains(out, "run kubectl relay setup vault") {
		t.Errorf("before the set-up: %s", out)
	}
	_, _, err = run(t, "setup", "vault", "--region", "eu", kubeconfig)
	check(t, err)

	root, err := server.Root()
	check(t, err)
	audit := filepath.Join(t.TempDir(), "audit.log")
	check(t, root.Sys().EnableAuditWithOptionsWithContext(t.Context(), "file", &api.EnableAuditOptions{Type: "file", Options: map[string]string{"file_path": audit}}))
	v, err := relayvault.ForAdmin(root, server.Contract(), "acme", "acme-relay")
	check(t, err)
	_, err = root.Logical().WriteWithContext(t.Context(), "transit/keys/acme.acme-relay", nil)
	check(t, err)
	now, err := v.Now(t.Context())
	check(t, err)
	for _, r := range []receipt.Receipt{
		{Time: now.AddDate(0, -15, 0), Latest: 9, Below: 4},
		{Time: now.AddDate(0, -1, 0), Latest: 9, Below: 5, Destroyed: []receipt.Range{{From: 4, Below: 5}}},
		{Time: now.AddDate(0, 0, -1), Latest: 9, Below: 7},
	} {
		r.Version, r.Began = receipt.Version, r.Time
		check(t, v.CreateReceipt(t.Context(), r))
	}
	_, err = retention.Erase(t.Context(), v, nil)
	check(t, err)

	out, _, err = run(t, append(show, "--vault-audit", audit)...)
	check(t, err)
	for _, want := range []string{"4 receipts from ", "admin   version 4 ", "5-9", "the key", "versions 5-6 died, and no receipt says which run", "0 receipts and 1 act that destroyed something", "deletes a key: delete transit/keys/acme.acme-relay", "root (entity -, accessor hmac-"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in:\n%s", want, out)
		}
	}
	var shown shownReceipts
	out, _, err = run(t, append(show, "-o", "json", "--since", "72h")...)
	if check(t, err); json.Unmarshal([]byte(out), &shown) != nil || len(shown.Receipts) != 2 || !shown.Receipts[1].Deleted || shown.Audit != nil {
		t.Errorf("of three days: %s", out)
	}
	empty := filepath.Join(t.TempDir(), "empty.log")
	check(t, os.WriteFile(empty, []byte(`{"type":"response","time":"`+now.AddDate(0, -2, 0).Format(time.RFC3339)+`","request":{"path":"sys/health"}}
{"type":"response","time":"`+now.Add(time.Hour).Format(time.RFC3339)+`","request":{"path":"sys/health"}}
`), 0o600))
	if _, _, err = run(t, append(show, "--vault-audit", empty)...); err == nil || !strings.Contains(err.Error(), "do not fit") {
		t.Errorf("with the file of another time: %v", err)
	}

	out, _, err = run(t, "receipts", "--region", "eu", "--remove-expired", kubeconfig)
	if check(t, err); !strings.Contains(out, "1 receipt removed") {
		t.Errorf("removing: %s", out)
	}
	names, err := v.ReceiptNames(t.Context(), receipt.Admin, time.Time{})
	if check(t, err); len(names) != 3 {
		t.Errorf("left are %v", names)
	}
	for _, wrong := range [][]string{{"receipts"}, {"receipts", "--remove-expired"}, {"receipts", "a", "b"}, {"receipts", "a", "--since", "-1h"}, {"receipts", "a", "--remove-expired", "--vault-audit", "x"}} {
		if _, _, err := run(t, wrong...); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}
