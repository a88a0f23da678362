package dataplane_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/proof"
	"github.com/relaykeep/relaykeep/relay/serve"
	"github.com/relaykeep/relaykeep/relay/witness"
)

// witnessed has a witness of its own cosign the log of a relay that runs, from its next start on.
func (b *business) witnessed() (dir, logKey, witnessKey string) {
	b.t.Helper()
	logKey = b.logSaid(serve.ReasonLogSigned).Log.Key
	dir = b.t.TempDir()
	witnessKey, err := witness.Create(dir, "witness.example.org")
	check(b.t, err)
	check(b.t, witness.AddLog(dir, logKey))
	w, err := witness.Open(dir, nil)
	check(b.t, err)
	server := httptest.NewTLSServer(w)
	b.t.Cleanup(func() { server.Close(); _ = w.Close() })
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	b.Config.Log.Witness = &contract.Witness{URL: server.URL, PublicKey: witnessKey, CABundle: string(ca)}
	return dir, logKey, witnessKey
}

// logSaid waits until the relay says of its log one of the reasons.
func (b *business) logSaid(reasons ...string) contract.Status {
	b.t.Helper()
	return b.WaitReport("the log is "+strings.Join(reasons, " or "), func(s contract.Status) bool {
		return slices.ContainsFunc(s.Conditions, func(c contract.Condition) bool {
			return c.Type == contract.ConditionLogVerifiable && slices.Contains(reasons, c.Reason)
		})
	})
}

// cosigned waits until the latest checkpoint, of more than so many entries, is cosigned, and returns of how many it is.
func (b *business) cosigned(than int64) (entries int64) {
	b.t.Helper()
	s := b.WaitReport("a new checkpoint is cosigned", func(s contract.Status) bool {
		return s.Log != nil && s.Log.Witnessed > than && s.Log.Witnessed == s.Log.Signed
	})
	return s.Log.Witnessed
}

// endpointLog reads the log at the endpoint, with a token.
type endpointLog struct {
	*business
	token string
}

func (l endpointLog) Header(context.Context) (h proof.Header, err error) {
	status, answer := l.Request(http.MethodGet, "/log/header", l.token, nil)
	if status != http.StatusOK {
		return h, errors.New(answer)
	}
	return h, json.Unmarshal([]byte(answer), &h)
}

func (l endpointLog) Tile(_ context.Context, path string) ([]byte, error) {
	status, answer := l.Request(http.MethodGet, "/log/"+path, l.token, nil)
	if status != http.StatusOK {
		return nil, errors.New(answer)
	}
	return []byte(answer), nil
}

func (l endpointLog) export() []byte {
	l.t.Helper()
	var out bytes.Buffer
	check(l.t, proof.WriteExport(l.t.Context(), &out, l))
	return out.Bytes()
}

// verified verifies exports, the oldest first, by the keys that the log had.
func verified(t *testing.T, keys []string, witnessKey string, exports ...[]byte) proof.Report {
	t.Helper()
	var logs []note.Verifier
	for _, key := range keys {
		log, err := proof.LogVerifier(key)
		check(t, err)
		logs = append(logs, log)
	}
	w, err := proof.WitnessVerifier(witnessKey)
	check(t, err)
	v, err := proof.NewVerification(logs, []note.Verifier{w})
	check(t, err)
	for i, e := range exports {
		check(t, v.Export(string(rune('a'+i)), bytes.NewReader(e)))
	}
	r, err := v.Result()
	check(t, err)
	return r
}

// wantWhole checks that exports, the oldest first, are of one log that only grew, whose whole is cosigned.
func wantWhole(t *testing.T, keys []string, witnessKey string, exports ...[]byte) {
	t.Helper()
	r := verified(t, keys, witnessKey, exports...)
	if !r.OK() || r.Kept < 2 || r.Witnessed[0].Size != r.Entries {
		t.Errorf("verified: %+v", r)
	}
}

// TestLog covers a relay's log with real Vault and a witness: what is entered, who may read it, that it verifies without the
// relay, and that a store that was put back is found by the witness and by what was exported before.
func TestLog(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.StartReady()
	_, logKey, witnessKey := b.witnessed()
	p := newPerson(t)
	sender := b.makeToken(map[string]any{"name": "bot", "scopes": []string{"send"}})
	auditor := b.makeToken(map[string]any{"name": "auditor", "scopes": []string{"audit"}})
	text := map[string]any{"messaging_product": "whatsapp", "to": p.Number.Digits(), "type": "text", "text": map[string]string{"body": "from the bot"}}
	if status, answer := b.Call(sender, text); status != http.StatusOK {
		t.Errorf("the sender gets %d %s", status, answer)
	}
	p.Sees("from the bot")
	if status, _ := b.Request(http.MethodGet, "/customers/"+p.Number.Digits(), auditor, nil); status != http.StatusForbidden {
		t.Errorf("the auditor exports a customer: %d", status)
	}
	if status, answer := b.Request(http.MethodDelete, "/customers/"+p.Number.Digits(), b.Token, nil); status != http.StatusOK {
		t.Errorf("erasing: %d %s", status, answer)
	}
	if status, _ := b.Request(http.MethodGet, "/log/header", sender, nil); status != http.StatusForbidden {
		t.Errorf("the sender reads the log: %d", status)
	}
	b.Stop()
	copied := filepath.Join(t.TempDir(), "copy")
	check(t, os.CopyFS(copied, os.DirFS(b.Volume())))

	later := 3 * time.Hour
	change := func(o *serve.Options) { o.VaultOffset = func() time.Duration { return later } }
	b.Start(off(func() time.Duration { return later }), change)
	b.WaitReady()
	b.logSaid(serve.ReasonLogWitnessed)
	log := endpointLog{b, auditor}
	then := log.export()
	for _, want := range []string{
		`{"who":"token/bot","kind":"send","result":"ok","count":1}`, `{"who":"owner","kind":"erase","result":"ok","count":1}`,
		`{"who":"token/auditor","kind":"export","result":"denied","count":1}`, `"kind":"rotation","body":{"access":1,"identity":1}`, `"kind":"key"`,
	} {
		if !strings.Contains(string(then), want) {
			t.Errorf("the log has no %s", want)
		}
	}
	if strings.Contains(string(then), p.Number.Digits()) {
		t.Error("the log names a customer")
	}
	if r := verified(t, []string{logKey}, witnessKey, then); !r.OK() || r.Witnessed[0].Size != r.Entries {
		t.Errorf("verified: %+v", r)
	}
	if status, answer := b.Request(http.MethodGet, "/log/tile/0/001", auditor, nil); status != http.StatusNotFound {
		t.Errorf("a tile that is not there: %d %s", status, answer)
	}
	b.NothingLeaked()
	b.Stop()

	check(t, os.RemoveAll(b.Volume()))
	check(t, os.CopyFS(b.Volume(), os.DirFS(copied)))
	b.Start()
	b.WaitReady()
	b.logSaid(serve.ReasonLogRolledBack, serve.ReasonLogForked) // by how much was logged since
	now := endpointLog{b, b.Token}.export()                     // named tokens end with a store that was put back
	r := verified(t, []string{logKey}, witnessKey, then, now)
	if r.OK() || r.Findings[0].What != proof.RolledBack && r.Findings[0].What != proof.Forked {
		t.Errorf("a store that was put back verifies: %+v", r)
	}
	b.Stop()
}
