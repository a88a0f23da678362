package dataplane_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/scan"
	"github.com/relaykeep/relaykeep/relay/serve"
	"github.com/relaykeep/relaykeep/test/await"
	"github.com/relaykeep/relaykeep/test/customers"
	"github.com/relaykeep/relaykeep/test/docs"
	"github.com/relaykeep/relaykeep/test/repository"
	"github.com/relaykeep/relaykeep/test/rig"
)

// families reads what a relay shows at /metrics.
func (b *business) families() (all []*dto.MetricFamily) {
	b.t.Helper()
	code, text := b.Get("/metrics")
	if code != http.StatusOK {
		b.t.Fatalf("/metrics answers %d", code)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	found, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	check(b.t, err)
	for _, f := range found {
		all = append(all, f)
	}
	return all
}

// gauge returns a gauge by the value of its only label; without a label, its only value.
func (b *business) gauge(name, label string) (value float64, found bool) {
	b.t.Helper()
	for _, f := range b.families() {
		for _, m := range f.Metric {
			if f.GetName() == name && (label == "" || m.Label[0].GetValue() == label) {
				return m.GetGauge().GetValue(), true
			}
		}
	}
	return 0, false
}

func TestMetrics_AreThoseOfTheManual(t *testing.T) {
	t.Parallel()
	path, err := repository.File("docs", "metrics.md")
	check(t, err)
	text, err := os.ReadFile(path)
	check(t, err)
	explained, err := docs.Metrics(string(text), "Of a relay")
	check(t, err)
	b := newBusiness(t)
	b.StartReady()
	p := newPerson(t)
	b.WaitStatus(b.Say(p.Number.E164(), "a message, so that there is something to count"), "read")
	b.WaitReport("the relay looked for receipts", func(s contract.Status) bool { return s.Receipts != nil })
	for _, none := range []string{ // without a receipt of an erasure, a limit and a witness
		"relaykeep_erasure_receipt_timestamp_seconds", "relaykeep_first_contacts_limit", "relaykeep_log_witnessed_timestamp_seconds",
	} {
		delete(explained, none)
	}
	for _, d := range docs.Differences(explained, b.families()) {
		t.Error(d)
	}
}

// TestNothingPersonalIsTold_InARunAtTheHighestVerbosity has both sides write everything that they can, and the business and others
// call what is refused; then it looks for all of that, and for who they are, in what the relay told about itself meanwhile.
func TestNothingPersonalIsTold_InARunAtTheHighestVerbosity(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	const display, opaque = "Featherstone & Daughters, boatmakers", "a-path-that-only-the-caller-knows"
	b.Config.Profile.DisplayName = display
	b.Hide(display, opaque)
	b.StartReady()
	told := map[string][]byte{}
	look := func() {
		for _, path := range []string{"/metrics", "/status", "/readyz"} {
			_, text := b.Get(path)
			told[path] = append(told[path], text...)
		}
	}
	writesEverything(t, b)
	look()
	for _, call := range []struct{ method, path, body string }{
		{http.MethodGet, "/" + opaque, ""},
		{http.MethodPost, "/" + b.NumberID + "/" + opaque, written["a business's text"]},
		{http.MethodPost, "/" + b.NumberID + "/messages", `{"messaging_product":"` + opaque + `","to":"` + opaque + `"`},
		{http.MethodDelete, "/" + b.NumberID + "/customers/" + opaque, ""},
	} {
		if status, answer := b.Ask(call.method, call.path, "application/json", []byte(call.body)); status < 400 {
			t.Errorf("%s %s answers %d %s", call.method, call.path, status, answer)
		}
		_, _, err := b.Try(opaque, call.method, rig.Version+call.path, "application/json", []byte(call.body))
		check(t, err)
	}
	look()
	b.Stop() // with a queue that is not empty
	b.SetDown(false)
	b.StartReady()
	b.WaitText(written["a customer's text that waits"])
	look()
	b.Stop()
	told["the log"] = b.Log.Bytes()

	hidden := b.Hidden()
	for _, text := range written {
		hidden = append(hidden, text)
	}
	var secrets []scan.Secret
	for i, h := range hidden {
		if len(h) >= 8 { // shorter texts are found by chance
			secrets = append(secrets, scan.Secret{Name: fmt.Sprint("secret ", i), Bytes: h})
		}
	}
	scanner, err := scan.New(secrets...)
	check(t, err)
	for place, text := range told {
		for _, s := range secrets { // first of all, that each is found there
			for encoding, planted := range map[string]string{
				"raw": s.Bytes, "hex": hex.EncodeToString([]byte(s.Bytes)), "base64": base64.StdEncoding.EncodeToString([]byte("a" + s.Bytes + "z")),
				"JSON": `{"msg":"` + s.Bytes + `"}`,
			} {
				with := append(bytes.Clone(text), planted...)
				if r, err := scanner.Reader(place, bytes.NewReader(with[len(text):])); err != nil || len(r.Findings) == 0 {
					t.Fatalf("%s, planted as %s, is not found: %v", s.Name, encoding, err)
				}
			}
		}
		r, err := scanner.Reader(place, bytes.NewReader(append(bytes.Clone(text), "\n"+secrets[0].Bytes...)))
		check(t, err)
		if len(text) < 100 && place != "/readyz" || len(r.Findings) == 0 || r.Bytes <= int64(len(text)) {
			t.Fatalf("of %d bytes of %s %d were looked at, with %d findings", len(text), place, r.Bytes, len(r.Findings))
		}
		for _, f := range r.Findings {
			if f.Offset < int64(len(text)) {
				t.Error(f)
			}
		}
	}
	if n := strings.Count(string(told["the log"]), "\n"); n < 10 {
		t.Errorf("the log has %d lines", n)
	}
	t.Logf("looked for %d secrets in %d bytes of the log and %d of the metrics", len(secrets), len(told["the log"]), len(told["/metrics"]))
}

// counted waits until a counter with this writing of its labels is at least n.
func (b *business) counted(series string, n float64) {
	b.t.Helper()
	await.Until(b.t, fmt.Sprintf("%s is at least %v", series, n), func() bool {
		_, text := b.Get("/metrics")
		_, after, found := strings.Cut(string(text), "\n"+series+" ")
		line, _, _ := strings.Cut(after, "\n")
		got, err := strconv.ParseFloat(line, 64)
		return found && err == nil && got >= n
	})
}

func TestMetrics_TellOfWhatWaitsAndOfKeysLinkAndRoom(t *testing.T) {
	t.Parallel()
	begun := time.Now().Add(-time.Minute)
	b := newBusiness(t)
	b.StartReady()
	p := newPerson(t)
	shy := customers.StartShy(t, shared.prosody, shared.Number())
	shy.Stop() // so that nobody answers the contact request, for which messages wait
	b.counted(`relaykeep_webhook_answers_total{answer="accepted",request="handshake"}`, 1)
	b.counted(`relaykeep_carrier_state{state="Online"}`, 1)
	want := func(name, label string, holds func(float64) bool) {
		t.Helper()
		if got, found := b.gauge(name, label); !found || !holds(got) {
			t.Errorf("%s of %q is %v, %v", name, label, got, found)
		}
	}
	recent := func(v float64) bool { return v >= float64(begun.Unix()) && v <= float64(time.Now().Unix()+1) }
	for _, key := range []string{"identity", "signed_prekey", "data"} {
		want("relaykeep_key_timestamp_seconds", key, recent)
	}
	want("relaykeep_oldest_key_timestamp_seconds", "", recent)
	want("relaykeep_carrier_state_timestamp_seconds", "", recent)
	want("relaykeep_last_sweep_timestamp_seconds", "", recent)
	want("relaykeep_retention_period_seconds", "", func(v float64) bool { return v == 30*24*60*60 })
	limit, _ := b.gauge("relaykeep_store_limit_bytes", "")
	want("relaykeep_store_free_bytes", "", func(v float64) bool { return v > 0 && v <= limit })
	want("relaykeep_store_used_bytes", "", func(v float64) bool { return v > 4096 && v < limit })
	want("relaykeep_queue_oldest_age_seconds", "webhook", func(v float64) bool { return v == 0 })

	b.SetDown(true)
	p.Says(b, "this has to wait for the business")
	b.counted(`relaykeep_webhook_answers_total{answer="5xx",request="delivery"}`, 2) // its first retry is put off
	want("relaykeep_queue_jobs", "webhook", func(v float64) bool { return v == 1 })
	want("relaykeep_queue_oldest_age_seconds", "webhook", func(v float64) bool { return v > 0 && v < 300 })
	b.Say(shy.Number.E164(), "this waits for a contact request")
	await.Until(t, "the message is put off", func() bool {
		jobs, _ := b.gauge("relaykeep_queue_jobs", "outbox")
		age, _ := b.gauge("relaykeep_queue_oldest_age_seconds", "outbox")
		return jobs == 1 && age == 0
	})
	b.SetDown(false)
	b.WaitText("this has to wait for the business")
	await.Until(t, "nothing waits for the business", func() bool {
		age, found := b.gauge("relaykeep_queue_oldest_age_seconds", "webhook")
		return found && age == 0
	})
	b.NothingLeaked()
}

// TestMetrics_OldestKeyIsOneThatCanStillDecrypt destroys a running relay's first key, as the janitor does.
func TestMetrics_OldestKeyIsOneThatCanStillDecrypt(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	var later atomic.Int64
	later.Store(int64(-25 * time.Hour))
	by := func() time.Duration { return time.Duration(later.Load()) }
	b.StartReady(off(by), func(o *serve.Options) {
		o.SweepEvery, o.AdvanceEvery, o.VaultOffset = 100*time.Millisecond, 100*time.Millisecond, by
	})
	const oldest = "relaykeep_oldest_key_timestamp_seconds"
	first, found := b.gauge(oldest, "")
	if !found {
		t.Fatal("it shows no oldest key")
	}
	key := b.Config.Vault.TransitMount + "/keys/" + b.Namespace + "." + b.Config.Name
	write := func(path string, data map[string]any) {
		t.Helper()
		_, err := shared.Root.Logical().WriteWithContext(t.Context(), key+path, data)
		check(t, err)
	}
	write("/rotate", nil)
	later.Store(0)
	await.Until(t, "a new data key is in use", func() bool { made, _ := b.gauge("relaykeep_key_timestamp_seconds", "data"); return made > first })
	if now, _ := b.gauge(oldest, ""); now != first {
		t.Errorf("the oldest key was made at %v, and now at %v", first, now)
	}
	write("/config", map[string]any{"min_decryption_version": 2, "min_encryption_version": 2})
	write("/trim", map[string]any{"min_available_version": 2})
	await.Until(t, "the oldest key is another one", func() bool { now, found := b.gauge(oldest, ""); return found && now > first })
}
