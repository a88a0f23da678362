package dataplane_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/test/await"
	"github.com/relaykeep/relaykeep/test/customers"
	"github.com/relaykeep/relaykeep/test/rig"
)

// TestKill_LosesAndDoublesNothing kills the relay's process again and again
// while both sides write, and looks that both have everything once in the end.
func TestKill_LosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	const rounds, each = 10, 6
	b := newBusiness(t)
	b.StartProcess()
	b.WaitWell()
	b.TakeCredentials()
	p := newPerson(t)
	c := &chatter{b: b, p: p, to: b.Phone(), ids: map[string]string{}, stanzas: map[string]string{}}
	for round := range rounds {
		var wg sync.WaitGroup
		wg.Go(func() { c.customerWrites(round, each) })
		wg.Go(func() { c.businessWrites(round, each) })
		wait := time.NewTimer(time.Duration(20+rand.IntN(300)) * time.Millisecond)
		<-wait.C
		b.Stop()
		b.StartProcess()
		wg.Wait()
	}
	c.everythingOnce(rounds * each)
	b.NothingLeaked()
}

// chatter has both sides write, and notes what they were told.
type chatter struct {
	b  *business
	p  *customers.Client
	to phone.Number // the business's

	mu      sync.Mutex        // guards the following fields
	ids     map[string]string // of the business's texts
	stanzas map[string]string // of the customer's, as their client knows them
	asked   []string          // texts of the customer
	unsure  []string          // texts of the business that may have been accepted twice
}

func (c *chatter) customerWrites(round, n int) {
	for i := range n {
		text := fmt.Sprintf("customer's text %d of round %d", i, round)
		id, err := c.p.Send(c.b.t.Context(), c.to, text)
		if err != nil {
			c.b.t.Errorf("the customer could not send: %v", err)
		}
		c.mu.Lock()
		c.asked = append(c.asked, text)
		c.stanzas[text] = id
		c.mu.Unlock()
	}
}

// businessWrites sends texts, each until it is accepted.
func (c *chatter) businessWrites(round, n int) {
	path := rig.Version + "/" + c.b.NumberID + "/messages"
	for i := range n {
		text := fmt.Sprintf("business's text %d of round %d", i, round)
		body, err := json.Marshal(map[string]any{
			"messaging_product": "whatsapp", "to": c.p.Number.E164(), "text": map[string]string{"body": text},
		})
		if err != nil {
			c.b.t.Error(err)
			return
		}
		for deadline := time.Now().Add(await.Patience); ; <-time.After(50 * time.Millisecond) {
			_, answer, err := c.b.Try(c.b.Token, http.MethodPost, path, "", body)
			if id := rig.MessageID(answer); id != "" {
				c.mu.Lock()
				c.ids[text] = id
				c.mu.Unlock()
				break
			}
			c.mu.Lock()
			c.unsure = append(c.unsure, text)
			c.mu.Unlock()
			if time.Now().After(deadline) {
				c.b.t.Errorf("the business could not send: %v %s", err, answer)
				return
			}
		}
	}
}

// everythingOnce waits until everything arrived and looks that nothing did twice.
func (c *chatter) everythingOnce(want int) {
	t := c.b.t
	t.Helper()
	if len(c.asked) != want || len(c.ids) != want {
		t.Errorf("%d and %d texts were sent, want %d each", len(c.asked), len(c.ids), want)
	}
	for _, text := range c.asked {
		c.b.WaitText(text)
	}
	for text, id := range c.ids {
		if n := c.p.Sees(text); n != 1 && !slices.Contains(c.unsure, text) {
			t.Errorf("the customer has %q %d times", text, n)
		}
		c.b.WaitStatus(id, "read")
	}
	copies := map[string]map[string]bool{}
	for _, u := range c.b.Updates() {
		if u.Type == "unsupported" {
			t.Error("the business was told of a message that could not be read")
		}
		if u.Type == "text" {
			if copies[u.Text] == nil {
				copies[u.Text] = map[string]bool{}
			}
			copies[u.Text][u.ID] = true
		}
	}
	for text, ids := range copies {
		if len(ids) != 1 {
			t.Errorf("the business has %q as %d messages", text, len(ids))
		}
	}
	if c.p.Has(func(e customer.Event) bool { return e.Kind == customer.Unreadable }) {
		t.Error("the customer got a message that could not be read")
	}
	c.b.Hide(append(c.asked, c.p.Number.Digits())...)
}
