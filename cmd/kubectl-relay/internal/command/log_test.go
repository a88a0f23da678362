package command

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/internal/exit"
	"github.com/relaykeep/relaykeep/relay/proof"
	"github.com/relaykeep/relaykeep/relay/receipt"
	"github.com/relaykeep/relaykeep/relay/retention"
	"github.com/relaykeep/relaykeep/relay/serve"
	"github.com/relaykeep/relaykeep/relay/vault"
	"github.com/relaykeep/relaykeep/relay/vault/setup"
	"github.com/relaykeep/relaykeep/test/rig"
)

// ownWitness is the relay's program as a witness, as a business runs it.
type ownWitness struct {
	t                         *testing.T
	program, dir              string
	key                       string // public
	address                   string // host:port, once it was served
	certificate, keyFile, pem string
}

func newOwnWitness(t *testing.T) *ownWitness {
	t.Helper()
	at := t.TempDir()
	w := &ownWitness{
		t: t, program: filepath.Join(at, "relay"), dir: filepath.Join(at, "witness"), address: "127.0.0.1:0",
		certificate: filepath.Join(at, "tls.crt"), keyFile: filepath.Join(at, "tls.key"),
	}
	out, err := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", w.program, "../../../relay").CombinedOutput()
	if err != nil {
		t.Fatalf("building the relay: %v\n%s", err, out)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	check(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	check(t, err)
	w.pem = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	check(t, os.WriteFile(w.certificate, []byte(w.pem), 0o600))
	check(t, os.WriteFile(w.keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	out, err = w.command("init", "witness.example.org").Output()
	check(t, err)
	w.key = strings.TrimSpace(string(out))
	return w
}

func (w *ownWitness) command(args ...string) *exec.Cmd {
	return exec.CommandContext(context.WithoutCancel(w.t.Context()), w.program, append(append([]string{"witness"}, args...), "--dir", w.dir)...)
}

// refuses wants a command to fail with these words.
func (w *ownWitness) refuses(words string, args ...string) {
	w.t.Helper()
	if out, err := w.command(args...).CombinedOutput(); err == nil || !strings.Contains(string(out), words) {
		w.t.Errorf("relay witness %v: %v, %s; want %q", args, err, out, words)
	}
}

// serve runs the witness until stop, which wants it to end well, at the address that it had before.
func (w *ownWitness) serve() (stop func()) {
	w.t.Helper()
	cmd := w.command("serve", "--listen", w.address, "--tls-certificate", w.certificate, "--tls-key", w.keyFile)
	said, err := cmd.StderrPipe()
	check(w.t, err)
	check(w.t, cmd.Start())
	w.t.Cleanup(func() { _ = cmd.Process.Kill() }) // which does nothing to one that has ended
	lines := bufio.NewScanner(said)
	var line struct{ Address, Key, Msg string }
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &line) != nil || line.Key != w.key {
		w.t.Fatalf("relay witness serve says %q", lines.Text())
	}
	w.address = line.Address
	return func() {
		check(w.t, cmd.Process.Signal(syscall.SIGTERM))
		for lines.Scan() {
			w.t.Errorf("the witness says %s", lines.Text())
		}
		if err := cmd.Wait(); err != nil {
			w.t.Errorf("the witness ended with %v", err)
		}
	}
}

// noCarrier is a carrier that nobody reaches: a log needs none.
type noCarrier struct{}

func (noCarrier) Where() (domain, addr string, ca []byte) { return "eu.relay.test", "127.0.0.1:1", nil }

// logScene is a relay with real Vault, and a business that reads and checks its log with the plugin.
type logScene struct {
	*rig.Business
	t       *testing.T
	k       *kubernetes
	witness *ownWitness
	files   string // exports, keys
}

func newLogScene(t *testing.T) *logScene {
	t.Helper()
	k := startKubernetes(t)
	server := k.startVault(t)
	root, err := server.Root()
	check(t, err)
	reviewer, err := k.server.AddReviewer(t.Context())
	check(t, err)
	kube := k.server.Config
	house := &rig.House{Vault: server, Root: root, Kube: k.server, Setup: setup.Options{
		Region: rig.Region, KubernetesHost: kube.Host, KubernetesCA: string(kube.CAData), ReviewerToken: reviewer, EndpointDomain: "relay.test",
	}}
	check(t, setup.Apply(t.Context(), root, house.Setup, nil))
	s := &logScene{house.NewBusiness(t, noCarrier{}), t, k, newOwnWitness(t), t.TempDir()}
	noVaultInEnvironment(t)
	t.Setenv("VAULT_TOKEN", root.Token())
	return s
}

// start runs the relay when it is later by every clock, and reads receipts often.
func (s *logScene) start(later time.Duration) {
	s.t.Helper()
	s.Stop()
	s.Start(func(o *serve.Options) {
		o.Now = func() time.Time { return time.Now().Add(later) }
		o.VaultOffset = func() time.Duration { return later }
		o.SweepEvery = 100 * time.Millisecond
	})
	s.Wait(contract.ConditionKeysReady, contract.True, "")
	s.WaitReady()
	s.TakeCredentials()
}

// known makes the BusinessRelay, as the operator reports it.
func (s *logScene) known() {
	s.t.Helper()
	relay, _ := acme()
	relay.Namespace, relay.Spec.PhoneNumber = s.Namespace, s.Number
	status := relay.Status
	status.Endpoint.URL, status.Endpoint.PhoneNumberID = s.Config.Endpoint.URL, s.NumberID
	check(s.t, s.k.client.Create(s.t.Context(), relay))
	relay.Status = status
	check(s.t, s.k.client.Status().Update(s.t.Context(), relay))
}

// plugin runs a command about the relay.
func (s *logScene) plugin(args ...string) (string, error) {
	s.t.Helper()
	out, _, err := run(s.t, append(args, "acme", "-n", s.Namespace, "--kubeconfig="+s.k.kubeconfig)...)
	return out, err
}

// log runs a command of log, at the relay's endpoint.
func (s *logScene) log(command string) string {
	s.t.Helper()
	out, err := s.plugin("log", command, "--endpoint-address", s.Endpoint())
	check(s.t, err)
	return out
}

// cosigned waits for a cosigned checkpoint of more than so many entries, and returns of how many it is.
func (s *logScene) cosigned(than int64) int64 {
	s.t.Helper()
	return s.WaitReport("a new checkpoint is cosigned", func(r contract.Status) bool {
		return r.Log != nil && r.Log.Witnessed > than && r.Log.Witnessed == r.Log.Signed
	}).Log.Witnessed
}

func (s *logScene) write(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.files, name)
	check(s.t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// verify runs audit verify with these files and keys.
func (s *logScene) verify(key, witnessKey string, files ...string) (r proof.Report, text string, err error) {
	s.t.Helper()
	args := append([]string{"audit", "verify", "--key", key, "--witness-key", witnessKey}, files...)
	out, _, err := run(s.t, append(args, "-o", "json")...)
	if out != "" {
		check(s.t, json.Unmarshal([]byte(out), &r))
	}
	text, _, _ = run(s.t, args...)
	return r, text, err
}

// wantFound checks that audit verify finds one thing in these files, with its place, and fails.
func (s *logScene) wantFound(what string, from, to int64, key, witnessKey string, files ...string) {
	s.t.Helper()
	r, text, err := s.verify(key, witnessKey, files...)
	found := slices.ContainsFunc(r.Findings, func(f proof.Finding) bool { return f.What == what && f.From == from && f.To == to })
	if !found || exit.Code(err) != exit.Failed || !strings.Contains(text, strings.ToUpper(what)) {
		s.t.Errorf("%s from %d to %d: exit %d, %v, found %+v, printed\n%s", what, from, to, exit.Code(err), err, r.Findings, text)
	}
}

// TestLogIsReadWitnessedAndCheckedByItsBusiness covers what a business does to check a relay's log: with a relay that runs, real Vault, the witness's own
// program, and the plugin.
func TestLogIsReadWitnessedAndCheckedByItsBusiness(t *testing.T) {
	s := newLogScene(t)
	s.start(0)
	s.Wait(contract.ConditionLogVerifiable, contract.True, serve.ReasonLogSigned)
	s.known()
	key := strings.TrimSpace(s.log("key"))
	keyFile, witnessKey := s.write("log.key", key+"\n"), s.write("witness.key", s.witness.key+"\n")

	s.witness.refuses("not the public key of a log", "add", "nothing")
	s.witness.refuses("has a witness's key already", "init", "again.example.org")
	check(t, s.witness.command("add", key).Run())
	stop := s.witness.serve()
	s.witness.refuses("another witness uses this directory", "serve", "--listen", "127.0.0.1:0")
	s.witness.refuses("belong together", "serve", "--tls-key", s.witness.keyFile)
	s.Config.Log.Witness = &contract.Witness{URL: "https://" + s.witness.address, PublicKey: s.witness.key, CABundle: s.witness.pem}
	s.start(0)
	s.cosigned(0)
	s.text("before it is away")
	s.janitorRuns(5*time.Hour, 4*time.Hour, 2*time.Hour, time.Hour)
	s.testReceipts(s.WaitReport("the last receipt is read", func(r contract.Status) bool {
		return r.Receipts != nil && r.Receipts.LastTime != nil && time.Since(*r.Receipts.LastTime) < 90*time.Minute
	}).Receipts)
	first := s.write("1.jsonl", s.log("export"))
	s.Stop()

	stop()
	s.start(2 * time.Hour)
	s.Wait(contract.ConditionLogVerifiable, contract.False, serve.ReasonWitnessAway)
	for i := range 10 {
		s.text(fmt.Sprint("while it is away ", i))
	}
	r := s.WaitReport("what was done is signed", func(r contract.Status) bool {
		return r.Log != nil && r.Log.Signed == r.Log.Entries && r.Log.Signed > r.Log.Witnessed
	})
	if _, metrics := s.Get("/metrics"); !strings.Contains(string(metrics), `relaykeep_log_problem{problem="witness_away"} 1`) {
		t.Error("the metrics do not say that the witness is away")
	}
	second := s.write("2.jsonl", s.log("export"))
	report, text, err := s.verify(keyFile, witnessKey, first, second)
	if err != nil || !report.OK() || report.Entries != r.Log.Signed || report.Witnessed[0].Size != r.Log.Witnessed || !strings.Contains(text, "Nothing was taken away") {
		t.Errorf("while the witness is away: %v, %s, the relay says %+v", err, text, r.Log)
	}
	s.Stop()

	stop = s.witness.serve()
	s.start(4 * time.Hour)
	size := s.cosigned(r.Log.Signed)
	s.Wait(contract.ConditionLogVerifiable, contract.True, serve.ReasonLogWitnessed)
	third := s.write("3.jsonl", s.log("export"))
	s.Stop()
	stop()
	report, text, err = s.verify(keyFile, witnessKey, s.files, s.witness.dir)
	if err != nil || report.Entries != size || report.Witnessed[0].Size != size || report.Unsigned != 0 {
		t.Errorf("afterwards: %v, %s", err, text)
	}
	s.testWhatIsWrong(keyFile, witnessKey, first, third)
}

// text sends one, as the business.
func (s *logScene) text(text string) {
	s.t.Helper()
	status, answer := s.Call(s.Token, map[string]any{"messaging_product": "whatsapp", "to": "+4930222222", "type": "text", "text": map[string]string{"body": text}})
	if status != http.StatusOK {
		s.t.Errorf("a text is answered %d %s", status, answer)
	}
}

// janitorRuns has the janitor run at times so long ago.
func (s *logScene) janitorRuns(ago ...time.Duration) {
	s.t.Helper()
	cfg := vault.ForTenant(s.Config, contract.RoleJanitor(s.Config.Region), "")
	cfg.Token = func(ctx context.Context) (string, error) {
		return s.IssueToken(ctx, contract.AudienceJanitor(s.Config.Region))
	}
	janitor, err := vault.New(cfg)
	check(s.t, err)
	for _, d := range ago {
		_, err := retention.Run(s.t.Context(), janitor, s.Config.RetentionDays, -d)
		check(s.t, err)
	}
}

// testReceipts compares what the command says of the receipts with what the relay does.
func (s *logScene) testReceipts(said *contract.ReceiptsStatus) {
	t := s.t
	t.Helper()
	out, err := s.plugin("receipts", "-o", "json")
	check(t, err)
	var shown shownReceipts
	check(t, json.Unmarshal([]byte(out), &shown))
	missing := 0
	for _, g := range shown.Gaps {
		if g.Kind == receipt.Hours {
			missing += g.Hours
		}
	}
	if len(shown.Receipts) != 4 || missing != said.MissingHours || !shown.Receipts[3].Time.Equal(*said.LastTime) {
		t.Errorf("the command says %s, the relay %+v", out, said)
	}
	out, err = s.plugin("receipts", "--since", "90m")
	if err != nil || !strings.HasPrefix(out, "1 receipt from ") || strings.Contains(out, "Missing") {
		t.Errorf("of 90 minutes: %v, %s", err, out)
	}
	token := os.Getenv("VAULT_TOKEN")
	t.Setenv("VAULT_TOKEN", "hvs.nobody")
	if out, err := s.plugin("receipts"); err == nil || !strings.Contains(err.Error(), "kubectl relay setup vault --region eu") {
		t.Errorf("with the token of nobody: %v, %s", err, out)
	}
	t.Setenv("VAULT_TOKEN", token)
}

// testWhatIsWrong has exports changed, and keys exchanged.
func (s *logScene) testWhatIsWrong(key, witnessKey, first, last string) {
	t := s.t
	t.Helper()
	text, err := os.ReadFile(last)
	check(t, err)
	lines := strings.SplitAfter(strings.TrimSuffix(string(text), "\n"), "\n")
	size := int64(len(lines) - 1)
	without := func(n int) string { return s.write("wrong.jsonl", strings.Join(lines[:int64(len(lines)-n)], "")) }
	s.wantFound(proof.Truncated, size-1, size, key, witnessKey, without(1))
	s.wantFound(proof.Truncated, 0, size, key, witnessKey, without(len(lines)-1))
	sent := slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, `"kind":"send"`) })
	if sent < 0 || strings.Count(string(text), `"kind":"receipt"`) != 4 {
		t.Fatalf("the log has no texts that were sent, or not the four receipts:\n%s", text)
	}
	changed := slices.Clone(lines)
	changed[sent] = strings.Replace(changed[sent], `"count":`, `"count":1`, 1)
	s.wantFound(proof.Edited, int64(sent-1), int64(sent), key, witnessKey, s.write("wrong.jsonl", strings.Join(changed, "")))
	changed = slices.Delete(slices.Clone(lines), sent, sent+1)
	s.wantFound(proof.Truncated, int64(sent-1), int64(sent), key, witnessKey, s.write("wrong.jsonl", strings.Join(changed, "")))
	if _, _, err := s.verify(key, witnessKey, s.write("wrong.jsonl", string(text[:len(text)-20]))); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("line %d", len(lines))) {
		t.Errorf("cut within a line: %v", err)
	}
	check(t, os.Remove(filepath.Join(s.files, "wrong.jsonl")))
	// In the wrong order, the log seems to have shrunk.
	former, err := os.ReadFile(first)
	check(t, err)
	s.wantFound(proof.RolledBack, int64(strings.Count(string(former), "\n")-1), size, key, witnessKey, last, first)

	public, _, err := ed25519.GenerateKey(rand.Reader)
	check(t, err)
	another, err := proof.KeyOf(proof.Origin(s.NumberID), public)
	check(t, err)
	s.wantFound(proof.Unsigned, -1, size, another, witnessKey, last)
	stranger := &ownWitness{t: t, program: s.witness.program, dir: filepath.Join(t.TempDir(), "another")}
	out, err := stranger.command("init", "another.example.org").Output()
	check(t, err)
	s.wantFound(proof.Unwitness, -1, -1, key, strings.TrimSpace(string(out)), last)
	for _, keys := range [][2]string{{"nothing", witnessKey}, {witnessKey, witnessKey}, {key, key}} {
		if _, _, err := s.verify(keys[0], keys[1], last); err == nil || !strings.Contains(err.Error(), "not the public key of a") {
			t.Errorf("with the keys %v: %v", keys, err)
		}
	}
}
