package command

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/vaultaudit"
	"github.com/relaykeep/relaykeep/relay/proof"
	"github.com/relaykeep/relaykeep/relay/receipt"
	"github.com/relaykeep/relaykeep/relay/vault/setup"
)

// exportOf writes an export with those leaves; of nil, only the hash.
func exportOf(t *testing.T, name string, leaves ...[]byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	f, err := os.Create(path)
	check(t, err)
	out, err := proof.NewExport(f, proof.Header{Log: proof.Origin("1234")})
	check(t, err)
	for i, leaf := range leaves {
		check(t, out.Add(int64(i), tlog.RecordHash(leaf), leaf))
	}
	check(t, out.Close())
	check(t, f.Close())
	return path
}

func TestAuditVerify_HoldsTheLogsReceiptsAgainstVaultsAuditFile(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r := receipt.Receipt{
		Version: receipt.Version, By: receipt.Janitor, Began: noon, Time: noon, Latest: 9, Below: 5, Destroyed: []receipt.Range{{From: 4, Below: 5}},
	}
	body, err := r.Encode()
	check(t, err)
	entered, err := proof.NewEntry(proof.Receipt, body, noon.Add(30*time.Minute))
	check(t, err)
	later, err := proof.NewEntry(proof.Rotation, []byte(`{"identity":2}`), noon.Add(3*time.Hour))
	check(t, err)
	line := func(minute int, operation, path, answer string) string {
		return fmt.Sprintf(`{"type":"response","time":%q,"auth":{"display_name":"kubernetes-acme-acme-relay","token_policies":["relaykeep-janitor-eu"],"metadata":`+
			`{"role":"relaykeep-janitor-eu","service_account_name":"acme-relay","service_account_namespace":"acme"}},"request":{"operation":%q,"path":%q},"response":{"data":%s}}`+"\n",
			noon.Add(time.Duration(minute)*time.Minute).Format(time.RFC3339), operation, path, answer)
	}
	trim := func(minute, below int) string {
		return line(minute, "update", "transit/keys/acme.acme-relay/trim", fmt.Sprintf(`{"latest_version":9,"min_available_version":%d}`, below))
	}
	put := line(0, "create", "kv-receipts/data/acme/acme-relay/janitor/2026-03/01T120000Z-00000000", "{}")
	around := func(text string) string {
		return line(-60, "read", "sys/health", "{}") + text + line(60, "read", "sys/health", "{}") + line(179, "read", "sys/health", "{}")
	}
	a := auditVault{relay: "acme/acme", options: setup.Options{Region: "eu", AuthPath: "kubernetes", KVMount: "kv", TransitMount: "transit", PKIMount: "pki"}}
	join := func(text string, exports ...string) *vaultaudit.Report {
		t.Helper()
		a.files = []string{filepath.Join(t.TempDir(), "audit.log")}
		check(t, os.WriteFile(a.files[0], []byte(text), 0o600))
		report, err := a.join(exports)
		check(t, err)
		return report
	}
	export := exportOf(t, "a.jsonl", entered, later)
	if got := join(around(trim(0, 5)+put), export, export, "kept.checkpoint"); len(got.Findings) != 0 || got.Receipts != 1 || got.Destroyed != 1 {
		t.Errorf("what fits: %+v", got)
	}
	if got := join(around(trim(0, 5)+put+trim(10, 6)), export); len(got.Findings) != 1 || !strings.Contains(got.Findings[0].What, "all below 6, and no receipt says so") {
		t.Errorf("an act that is missing: %+v", got)
	}
	if got := join(around(""), export); len(got.Findings) != 2 {
		t.Errorf("an act that is made up: %+v", got)
	}
	// What the log does not reach yet, and what it dropped, is held against nothing.
	after := line(-60, "read", "sys/health", "{}") + line(60, "read", "sys/health", "{}") + trim(150, 6) + line(179, "read", "sys/health", "{}")
	if got := join(after, exportOf(t, "b.jsonl", later)); len(got.Findings) != 0 || got.Outside != 1 {
		t.Errorf("an act after the log's end: %+v", got)
	}
	if got := join(around(trim(0, 5)+put), exportOf(t, "c.jsonl", nil, later)); len(got.Findings) != 0 || got.Outside != 2 {
		t.Errorf("an act that the log dropped: %+v", got)
	}
	a.files = nil
	if got, err := a.join([]string{export}); got != nil || err != nil {
		t.Errorf("without a file: %+v, %v", got, err)
	}
}

func TestAuditVerify_NeedsToKnowWhatIsTheRelays(t *testing.T) {
	for _, args := range [][]string{{"--region", "eu"}, {"--relay", "acme/acme"}, {"--relay", "acme", "--region", "eu"}, {"--relay", "/acme", "--region", "eu"}} {
		_, _, err := run(t, append([]string{"audit", "verify", "x", "--key", "k", "--vault-audit", "audit.log"}, args...)...)
		if err == nil || !strings.Contains(err.Error(), "--relay NAMESPACE/NAME") {
			t.Errorf("%q: %v", args, err)
		}
	}
}
