package vaultaudit_test

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/vaultaudit"
	"github.com/relaykeep/relaykeep/relay/receipt"
	"github.com/relaykeep/relaykeep/relay/retention"
	"github.com/relaykeep/relaykeep/relay/vault"
	"github.com/relaykeep/relaykeep/relay/vault/setup"
	"github.com/relaykeep/relaykeep/test/rig"
	vaulttest "github.com/relaykeep/relaykeep/test/services/vault"
)

var shared *rig.House

func TestMain(m *testing.M) {
	os.Exit(rig.Main(func(_ context.Context, h *rig.House) (int, error) {
		shared = h
		return m.Run(), nil
	}))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// scene is a tenant whose Vault writes an audit file.
type scene struct {
	t              *testing.T
	file           string
	subject        vaultaudit.Subject
	relay, janitor *vault.Client
	keeper         *vault.Keeper
}

func config(namespace, account, role, audience string) vault.Config {
	return vault.Config{Vault: shared.Vault.Contract(), Namespace: namespace, Tenant: account, Role: role, Token: func(ctx context.Context) (string, error) {
		return shared.Kube.Token(ctx, namespace, account, audience)
	}}
}

// newScene makes a tenant with a key of which two versions are older than 30 days, and then has Vault write an audit file.
func newScene(t *testing.T) *scene {
	t.Helper()
	namespace, account := shared.NewTenant(t, "acme")
	client := func(role, audience string) *vault.Client {
		c, err := vault.New(config(namespace, account, role, audience))
		must(t, err)
		return c
	}
	v := shared.Vault.Contract()
	s := &scene{t: t, file: filepath.Join(t.TempDir(), "audit.log"), subject: vaultaudit.Subject{
		Region: rig.Region, Namespace: namespace, Account: account,
		AuthPath: v.AuthPath, KVMount: v.KVMount, TransitMount: v.TransitMount, PKIMount: v.PKIMount,
	}}
	s.relay = client(contract.RoleRelay(rig.Region), contract.AudienceRelay(rig.Region))
	s.janitor = client(contract.RoleJanitor(rig.Region), contract.AudienceJanitor(rig.Region))
	s.keeper = theKeeper(t)
	_, err := s.relay.EnsureKeys(t.Context(), 30*24*time.Hour)
	must(t, err)
	must(t, s.janitor.Rotate(t.Context()))
	s.age()
	s.audit(s.file)
	return s
}

func theKeeper(t *testing.T) *vault.Keeper {
	t.Helper()
	name := contract.KeeperName(rig.Region)
	// Both may be there from another test.
	_, _ = shared.Kube.Kube.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: setup.DefaultOperatorNamespace}}, metav1.CreateOptions{})
	_ = shared.Kube.AddServiceAccount(t.Context(), setup.DefaultOperatorNamespace, name)
	k, err := vault.NewKeeper(config(setup.DefaultOperatorNamespace, name, contract.RoleKeeper(rig.Region), contract.AudienceKeeper(rig.Region)))
	must(t, err)
	return k
}

func (s *scene) key() string { return s.subject.Namespace + "." + s.subject.Account }

// age makes all versions of the key 31 days older, as only Vault's admin can.
func (s *scene) age() {
	s.t.Helper()
	_, err := vaulttest.AgeKey(s.t.Context(), shared.Root, s.key(), 31*24*time.Hour)
	must(s.t, err)
}

// audit has Vault write into a file until the test ends.
func (s *scene) audit(file string) {
	s.t.Helper()
	name := strings.ReplaceAll(s.subject.Namespace+"-"+filepath.Base(file), ".", "-")
	must(s.t, shared.Root.Sys().EnableAuditWithOptionsWithContext(s.t.Context(), name,
		&api.EnableAuditOptions{Type: "file", Options: map[string]string{"file_path": file}}))
	s.t.Cleanup(func() { _ = shared.Root.Sys().DisableAuditWithContext(context.Background(), name) })
}

// receipts are those that the relay reads.
func (s *scene) receipts() (all []receipt.Receipt) {
	s.t.Helper()
	for _, by := range receipt.Writers() {
		names, err := s.relay.ReceiptNames(s.t.Context(), by, time.Time{})
		must(s.t, err)
		for _, name := range names {
			r, err := s.relay.Receipt(s.t.Context(), name)
			must(s.t, err)
			all = append(all, r)
		}
	}
	return all
}

func (s *scene) join(receipts []receipt.Receipt, complete vaultaudit.Window) vaultaudit.Report {
	s.t.Helper()
	text, err := os.ReadFile(s.file)
	must(s.t, err)
	// The file must cover the receipts' times and their slack.
	text = append(entryAt(-10*time.Minute), append(text, entryAt(10*time.Minute)...)...)
	report, err := vaultaudit.Join(bytes.NewReader(text), s.subject, receipts, complete)
	must(s.t, err)
	return report
}

// entryAt is an entry of nobody's at a time.
func entryAt(later time.Duration) []byte {
	at := time.Now().Add(later).UTC().Format(time.RFC3339Nano)
	return []byte(`{"type":"response","time":"` + at + `","request":{"id":"x","operation":"read","path":"sys/health"}}` + "\n")
}

// run runs janitor or keeper, which must leave a receipt.
func (s *scene) run() {
	s.t.Helper()
	result, err := retention.Run(s.t.Context(), s.janitor, 30, 0)
	if must(s.t, err); result.Receipt != contract.ReceiptWritten {
		s.t.Fatalf("%+v", result)
	}
}

func (s *scene) wantFinding(r vaultaudit.Report, what string) {
	s.t.Helper()
	for _, f := range r.Findings {
		if strings.Contains(f.What, what) {
			return
		}
	}
	s.t.Errorf("%q is not among %+v", what, r.Findings)
}

// wantFlagged looks for an act of Vault's admin.
func (s *scene) wantFlagged(r vaultaudit.Report, kind vaultaudit.Kind, path string) {
	s.t.Helper()
	for _, a := range r.Flagged {
		if a.Kind == kind && strings.HasSuffix(a.Path, path) && a.Who.Party == "" && a.Who.DisplayName == "root" && strings.HasPrefix(a.Who.Accessor, "hmac-") && a.Line > 0 {
			return
		}
	}
	s.t.Errorf("%q of %s is not among %+v", kind, path, r.Flagged)
}

func TestAuditFile_OfWhatRelayJanitorAndKeeperDoFitsTheirReceipts(t *testing.T) {
	s := newScene(t)
	_, err := retention.Keep(t.Context(), retention.RegionAt(s.keeper), retention.DefaultLimits(), 0, nil)
	must(t, err)
	_, err = s.relay.EnsureKeys(t.Context(), 30*24*time.Hour)
	must(t, err)
	_, err = s.relay.Access(t.Context(), 1)
	must(t, err)
	s.run()
	if s.relay.Trim(t.Context(), 9) == nil {
		t.Fatal("the relay may trim")
	}
	erased, err := retention.Erase(t.Context(), s.janitor, nil)
	if must(t, err); erased.Receipt != contract.ReceiptWritten {
		t.Fatalf("%+v", erased)
	}
	r := s.join(s.receipts(), vaultaudit.Window{})
	if len(r.Findings) != 0 || r.Receipts != 3 || r.Destroyed != 2 || r.Damaged != 0 || r.Left != 0 || r.Outside != 0 {
		t.Errorf("%+v", r)
	}
	// What the relay tried and may not is told; the device that writes the file was made by root.
	var tried bool
	for _, a := range r.Flagged {
		switch {
		case a.Who.Party == vaultaudit.Relay && a.Kind == vaultaudit.KeyDestroy && a.Refused == a.Count:
			tried = true
		case a.Who.DisplayName == "root" && (a.Kind == vaultaudit.AuditDevice || strings.Contains(a.Path, "token")):
		default:
			t.Errorf("flagged: %+v", a)
		}
	}
	if !tried {
		t.Error("an attempt of the relay's is not told")
	}
	parties := map[string]bool{}
	for _, a := range r.Own {
		parties[a.Who.Party] = true
	}
	if len(parties) != 3 {
		t.Errorf("acts are of %v: %+v", parties, r.Own)
	}
}

func TestAuditFile_ShowsWhatVaultsAdminDid(t *testing.T) {
	s := newScene(t)
	s.run()
	s.run()
	root := shared.Root.Logical()
	own := s.subject.Namespace + "/" + s.subject.Account
	_, err := s.relay.Access(t.Context(), 1)
	must(t, err)
	names, err := s.relay.ReceiptNames(t.Context(), receipt.Janitor, time.Time{})
	must(t, err)
	complete := s.receipts()
	for _, do := range []struct {
		method, path string
		body         map[string]any
	}{
		{http.MethodGet, "kv/data/" + own + "/access/1", nil},
		{http.MethodDelete, "kv-receipts/metadata/" + own + "/" + names[0].String(), nil},
		{http.MethodPut, "transit/keys/" + s.key() + "/rotate", nil},
		{http.MethodPut, "transit/keys/" + s.key() + "/config", map[string]any{"min_decryption_version": 4, "min_encryption_version": 4}},
		{http.MethodPut, "transit/keys/" + s.key() + "/trim", map[string]any{"min_available_version": 4}},
	} {
		switch do.method {
		case http.MethodGet:
			_, err = root.ReadWithContext(t.Context(), do.path)
		case http.MethodDelete:
			_, err = root.DeleteWithContext(t.Context(), do.path)
		default:
			_, err = root.WriteWithContext(t.Context(), do.path, do.body)
		}
		must(t, err)
	}
	policy, err := shared.Root.Sys().GetPolicyWithContext(t.Context(), contract.RoleRelay(rig.Region))
	must(t, err)
	must(t, shared.Root.Sys().PutPolicyWithContext(t.Context(), contract.RoleRelay(rig.Region), policy))
	r := s.join(s.receipts(), vaultaudit.Window{})
	s.wantFinding(r, "somebody else destroys versions of a key, all below 4, and no receipt says so")
	s.wantFinding(r, "the janitor puts a receipt that is missing among the receipts")
	s.wantFlagged(r, vaultaudit.SecretRead, "/access/1")
	s.wantFlagged(r, vaultaudit.ReceiptChange, names[0].String())
	s.wantFlagged(r, vaultaudit.KeyDestroy, "/trim")
	s.wantFlagged(r, vaultaudit.KeyChange, "/rotate")
	s.wantFlagged(r, vaultaudit.Policy, contract.RoleRelay(rig.Region))
	// With the receipt that was removed, nothing is missing; a run of the janitor says what is gone.
	s.run()
	r = s.join(append(slices.DeleteFunc(s.receipts(), func(r receipt.Receipt) bool { return r.Below != 4 }), complete...), vaultaudit.Window{})
	s.wantFinding(r, "and left no receipt; a later one says that they are gone")
	if len(r.Findings) != 1 {
		t.Errorf("%+v", r.Findings)
	}
	// Of receipts that end before, what is newer is no finding.
	if r = s.join(nil, vaultaudit.Window{Until: time.Now().Add(-time.Hour)}); len(r.Findings) != 0 || r.Outside == 0 {
		t.Errorf("%+v", r)
	}
	// A receipt of what nobody did.
	forged := complete[0]
	forged.Time, forged.Destroyed = forged.Time.Add(time.Minute), []receipt.Range{{From: 1, Below: 2}}
	r = s.join(append(complete, forged), vaultaudit.Window{})
	s.wantFinding(r, "does not say that one was put into Vault")
	s.wantFinding(r, "says that it destroyed versions 1 to 1, and the file does not")
	s.age()
	r = s.join(complete, vaultaudit.Window{})
	s.wantFlagged(r, vaultaudit.KeyCopy, "backup/"+s.key())
	s.wantFlagged(r, vaultaudit.KeyRestore, "restore/"+s.key())
}
