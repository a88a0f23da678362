package dataplane_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/serve"
	"github.com/relaykeep/relaykeep/relay/webhook"
	"github.com/relaykeep/relaykeep/test/await"
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
	await.Until(t, "the webhook's job is queued", func() bool { return b.Report().Counts.WebhookQueued > 0 })
	b.Stop()
	week := func() time.Duration { return 8 * 24 * time.Hour }
	b.Start(off(week), func(o *serve.Options) { o.VaultOffset, o.SweepEvery = week, 100*time.Millisecond })
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
