package dataplane_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/serve"
	"github.com/relaykeep/relaykeep/relay/vault"
	"github.com/relaykeep/relaykeep/relay/webhook"
	"github.com/relaykeep/relaykeep/test/await"
	"github.com/relaykeep/relaykeep/test/rig"
)

// A receiver that never answers about one customer holds up neither what it is told of others, nor what arrives.
func TestReceiver_ThatHangsDelaysNothingElse(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.StartReady()
	slow, other := newPerson(t), newPerson(t)
	slow.Says(b, "first")
	b.WaitText("first")
	id := []byte(slow.Number.Digits())
	b.Hang(func(body []byte) bool { return bytes.Contains(body, id) })
	in := b.Report().Counts.MessagesIn
	const n = 40 // more than there are requests at once
	for range n {
		slow.Says(b, "hangs")
	}
	await.Until(t, "all of it is stored", func() bool { return b.Report().Counts.MessagesIn == in+n })
	began := time.Now()
	for _, text := range []string{"one", "two", "three"} {
		other.Says(b, text)
		b.WaitText(text)
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("another customer's messages took %v, as if they waited for a request that hangs (20 s)", took)
	}
	b.Hang(nil)
	await.Until(t, "what hung is delivered", func() bool {
		count := 0
		for _, u := range b.Updates() {
			if u.Text == "hangs" {
				count++
			}
		}
		return count >= n
	})
}

func TestDeadLetters_AreListedAndReplayed(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.StartReady()
	p := newPerson(t)
	p.Says(b, "accepted")
	b.WaitText("accepted")
	b.SetDown(true)
	p.Says(b, "not accepted for a week")
	b.Wait(contract.ConditionWebhookVerified, contract.False, webhook.ReasonDeliveryFailing)
	b.Stop()
	week := func() time.Duration { return 8 * 24 * time.Hour }
	answers := beforeAnswers(t, b) // a relay that was refused nothing yet knows no reason to give anything up
	b.Start(off(week), func(o *serve.Options) { o.VaultOffset, o.SweepEvery = week, 100*time.Millisecond })
	untilSwept(t, b)
	answers()
	b.WaitReport("that it is a dead letter", func(s contract.Status) bool { return s.Counts.DeadLetters > 0 && s.Counts.WebhookQueued == 0 })
	b.SetDown(false)
	b.Wait(contract.ConditionWebhookVerified, contract.True, webhook.ReasonDeadLetters)
	status, answer := b.Request(http.MethodGet, "/dead_letters", b.Token, nil)
	var list struct {
		Data []struct {
			ID, Type, MessageID string
			Attempts            int
			LastError           string `json:"last_error"`
		}
	}
	if err := json.Unmarshal([]byte(answer), &list); err != nil || status != http.StatusOK || len(list.Data) == 0 || list.Data[0].LastError == "" {
		t.Fatalf("%d %s", status, answer)
	}
	for _, u := range b.Updates() {
		if u.Text == "not accepted for a week" {
			t.Error("it was delivered without being replayed")
		}
	}
	if status, answer = b.Request(http.MethodPost, "/dead_letters", b.Token, []byte(`{"all":true}`)); status != http.StatusOK {
		t.Fatalf("%d %s", status, answer)
	}
	b.WaitText("not accepted for a week")
	b.Wait(contract.ConditionWebhookVerified, contract.True, webhook.ReasonVerified)
}

// beforeAnswers has the receiver answer nothing until answers is called.
func beforeAnswers(t *testing.T, b *business) (answers func()) {
	t.Helper()
	wait := make(chan struct{})
	answers = sync.OnceFunc(func() { close(wait) })
	t.Cleanup(answers)
	b.Listen(func(*http.Request, []byte) { <-wait })
	return answers
}

// untilSwept waits until the store of a relay that was started was swept.
func untilSwept(t *testing.T, b *business) {
	t.Helper()
	const swept = "\nrelaykeep_last_sweep_timestamp_seconds "
	await.Until(t, "the store is swept", func() bool {
		_, metrics := b.Get("/metrics")
		return bytes.Contains(metrics, []byte(swept)) && !bytes.Contains(metrics, []byte(swept+"0\n"))
	})
}

func TestWebhook_HasSeveralUpdatesWhereTheBusinessAsks(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.Config.Webhook.MaxUpdates = 100
	b.Expect(vault.Access{VerifyToken: "another token than the relay has"}) // so that all of it waits
	b.Start()
	b.Wait(contract.ConditionWebhookVerified, contract.False, "ChallengeFailed")
	b.Wait(contract.ConditionCarrierConnected, contract.True, "")
	p, q := newPerson(t), newPerson(t)
	texts := []string{"one of six", "two of six", "three of six", "four of six", "five of six", "six of six"}
	for _, text := range texts[:4] {
		p.Says(b, text)
	}
	for _, text := range texts[4:] {
		q.Says(b, text)
	}
	await.Until(t, "all of it waits", func() bool { return b.Report().Counts.WebhookQueued == 6 })
	b.TakeCredentials() // the right token
	for _, text := range texts {
		b.WaitText(text)
	}
	var order []string
	for _, u := range b.Updates() {
		if i := slices.Index(texts[:4], u.Text); i >= 0 && !slices.Contains(order, u.Text) {
			order = append(order, u.Text)
		}
	}
	if webhooks := len(b.Bodies()); webhooks > 2 || !slices.Equal(order, texts[:4]) {
		t.Errorf("six messages came in %d webhooks, those of one customer as %q", webhooks, order)
	}
	await.Until(t, "nothing is left", func() bool { return b.Report().Counts.WebhookQueued == 0 })
}

func TestIdempotencyKey_SendsOnceAcrossARestart(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.StartReady()
	p := newPerson(t)
	p.Says(b, "hello")
	b.WaitText("hello")
	send := func(text string) (status int, id string) {
		t.Helper()
		body, err := json.Marshal(map[string]any{"messaging_product": "whatsapp", "to": p.Number.E164(), "text": map[string]string{"body": text}})
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+b.Endpoint()+rig.Version+"/"+b.NumberID+"/messages", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+b.Token)
		r.Header.Set("Idempotency-Key", "order 7")
		w, err := b.Client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Body.Close()
		var answer struct{ Messages []struct{ ID string } }
		if err := json.NewDecoder(w.Body).Decode(&answer); err != nil || w.StatusCode == http.StatusOK && len(answer.Messages) != 1 {
			t.Fatalf("%d, %v", w.StatusCode, err)
		}
		if w.StatusCode == http.StatusOK {
			id = answer.Messages[0].ID
		}
		return w.StatusCode, id
	}
	status, first := send("your order is ready")
	if status != http.StatusOK {
		t.Fatalf("%d", status)
	}
	b.Stop()
	b.StartReady()
	if status, again := send("your order is ready"); status != http.StatusOK || again != first {
		t.Errorf("again: %d, another id: %v", status, again != first)
	}
	if status, _ := send("your order is late"); status != http.StatusConflict {
		t.Errorf("another body: %d", status)
	}
	b.WaitStatus(first, "read")
	b.Say(p.Number.E164(), "and this once more")
	p.Shown("and this once more")
	if n := p.Sees("your order is ready"); n != 1 {
		t.Errorf("the customer got it %d times", n)
	}
}
