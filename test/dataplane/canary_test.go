package dataplane_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/cmd/kubectl-relay/scan"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/serve"
	"github.com/relaykeep/relaykeep/test/await"
	"github.com/relaykeep/relaykeep/test/customers"
)

// aCanarysNumber is nobody's: the ITU keeps +999 in reserve.
func aCanarysNumber() string { return "+999" + shared.Number()[4:] }

// canary is what the relay says of the canary.
type canary struct {
	UserID string `json:"user_id"`
	Kept   int    `json:"kept_back"`
}

// announce announces a canary.
func (b *business) announce(number string) (c canary) {
	b.t.Helper()
	status, answer := b.Request(http.MethodPost, "/canary", b.Token, []byte(`{"number":"`+number+`"}`))
	if status != http.StatusOK || json.Unmarshal([]byte(answer), &c) != nil || c.UserID == "" {
		b.t.Fatalf("announcing a canary answers %d %s", status, answer)
	}
	return c
}

// keptBack is how many webhooks about the canary are kept back; -1 without one.
func (b *business) keptBack() int {
	b.t.Helper()
	var c canary
	status, answer := b.Request(http.MethodGet, "/canary", b.Token, nil)
	if status != http.StatusOK || json.Unmarshal([]byte(answer), &c) != nil {
		return -1
	}
	return c.Kept
}

// leaves looks for what the canary said, and who it is, in what the relay and Prosody store and the relay logs. Prosody may
// know who it is.
func (b *business) leaves(number string, texts ...string) {
	b.t.Helper()
	said := make([]scan.Secret, len(texts))
	for i, text := range texts {
		said[i] = scan.Secret{Name: "text", Bytes: text}
	}
	everything, err := scan.New(slices.Concat(said, []scan.Secret{{Name: "number", Bytes: strings.TrimPrefix(number, "+")}})...)
	check(b.t, err)
	words, err := scan.New(said...)
	check(b.t, err)
	for where, s := range map[string]*scan.Scanner{b.Volume(): everything, shared.prosody.Dir: words} {
		planted := filepath.Join(where, "planted")
		check(b.t, os.WriteFile(planted, []byte("before "+texts[0]+" after"), 0o600))
		found, err := s.Tree(where)
		check(b.t, err)
		check(b.t, os.Remove(planted))
		if len(found.Findings) != 1 || found.Findings[0].Path != planted {
			b.t.Errorf("in %s, where one was planted, the scanner finds %v", where, found.Findings)
		}
	}
}

// TestCanary_IsKeptBackAndErased has a customer who is nobody talk with the business, which hears of somebody else alone.
func TestCanary_IsKeptBackAndErased(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	insight := b.AddProcessor("insight")
	b.StartReady()
	b.KnowsProcessor("insight", insight)
	number := aCanarysNumber()
	for _, wrong := range []string{shared.Number(), "+998" + number[4:], "nobody"} {
		if status, answer := b.Request(http.MethodPost, "/canary", b.Token, []byte(`{"number":"`+wrong+`"}`)); status != http.StatusBadRequest {
			t.Errorf("a canary with a number that may be somebody's: %d %s", status, answer)
		}
	}
	c := b.announce(number)
	if status, answer := b.Request(http.MethodPost, "/canary", b.Token, []byte(`{"number":"`+aCanarysNumber()+`"}`)); status != http.StatusBadRequest {
		t.Errorf("a second canary: %d %s", status, answer)
	}
	nobody, somebody := customers.Start(t, shared.prosody, number), newPerson(t)
	const said, answered = "what the canary sings", "what the canary hears"
	nobody.Says(b, said)
	await.Until(t, "the webhook is kept back", func() bool { return b.keptBack() == 1 })
	b.tells(c.UserID, answered)
	nobody.Wait("the answer", func(e customer.Event) bool { return e.Kind == customer.Received && e.Text == answered })
	await.Until(t, "the statuses are kept back", func() bool { return b.keptBack() >= 3 })
	b.leaves(number, said, answered)

	b.Stop() // a restart changes nothing
	b.StartReady()
	nobody.Says(b, said+" again")
	await.Until(t, "the webhook is kept back after a restart", func() bool { return b.keptBack() >= 4 })
	somebody.Says(b, "hello there")
	b.WaitText("hello there")
	insight.WaitText("hello there")
	for who, bodies := range map[string][][]byte{"the business": b.Bodies(), "the processor": insight.Bodies()} {
		for _, body := range bodies {
			if text := string(body); strings.Contains(text, "canary") || strings.Contains(text, number[1:]) || strings.Contains(text, c.UserID) {
				t.Errorf("%s is told of the canary", who)
			}
		}
	}
	nobody.Stop()
	if status, answer := b.Request(http.MethodDelete, "/customers/"+c.UserID, b.Token, nil); status != http.StatusOK {
		t.Fatalf("erasing the canary answers %d %s", status, answer)
	}
	if status, _ := b.Request(http.MethodGet, "/customers/"+c.UserID, b.Token, nil); status != http.StatusBadRequest || b.keptBack() != 0 {
		t.Errorf("after its erasure the canary answers %d, and %d webhooks are kept back", status, b.keptBack())
	}
	b.leaves(number, said, answered)
	for want, n := range []int{http.StatusOK, http.StatusBadRequest} {
		if status, answer := b.Request(http.MethodDelete, "/canary", b.Token, nil); status != n {
			t.Errorf("ending the canary, time %d: %d %s", want+1, status, answer)
		}
	}
}

// TestCanary_ThatNobodyEndsIsErased has the announcement's time pass.
func TestCanary_ThatNobodyEndsIsErased(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	var later atomic.Int64
	b.StartReady(off(func() time.Duration { return time.Duration(later.Load()) }), func(o *serve.Options) {
		o.VaultOffset, o.AdvanceEvery = func() time.Duration { return time.Duration(later.Load()) }, 100*time.Millisecond
	})
	number := aCanarysNumber()
	c := b.announce(number)
	customers.Start(t, shared.prosody, number).Says(b, "who forgets me")
	await.Until(t, "the webhook is kept back", func() bool { return b.keptBack() == 1 })
	later.Store(int64(16 * time.Minute))
	await.Until(t, "the canary is erased", func() bool { return b.keptBack() == -1 })
	if status, _ := b.Request(http.MethodGet, "/customers/"+c.UserID, b.Token, nil); status != http.StatusBadRequest {
		t.Errorf("what is stored of it answers %d", status)
	}
}
