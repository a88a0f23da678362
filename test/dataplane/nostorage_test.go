package dataplane_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/serve"
	"github.com/relaykeep/relaykeep/relay/webhook"
	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
	"github.com/relaykeep/relaykeep/test/await"
	"github.com/relaykeep/relaykeep/test/customers"
)

func isLost(u webhooktest.Update) bool {
	return u.Type == "unsupported" && u.Code == webhook.CodeNotDelivered
}

// learnt returns the ids of the messages for which a customer's client has a receipt of that kind, each once.
func learnt(p *customers.Client, kind customer.EventKind) (ids []string) {
	p.Count(func(e customer.Event) bool {
		if e.Kind == kind && !slices.Contains(ids, e.ID) {
			ids = append(ids, e.ID)
		}
		return true
	})
	return ids
}

// stanzaOf returns the id by which a customer's client knows a message that was told as lost: the business marks it as
// read, and the client learns which one was.
func (b *business) stanzaOf(p *customers.Client, id string) (stanza string) {
	b.t.Helper()
	before := learnt(p, customer.Read)
	status, answer := b.Call(b.Token, map[string]string{"messaging_product": "whatsapp", "status": "read", "message_id": id})
	if status != http.StatusOK {
		b.t.Fatalf("marking a lost message as read answers %d %s", status, answer)
	}
	await.Until(b.t, "the customer's client learns which message was read", func() bool {
		for _, read := range learnt(p, customer.Read) {
			if !slices.Contains(before, read) {
				stanza = read
			}
		}
		return stanza != ""
	})
	return stanza
}

func TestNoStorage_ReceiptFollowsTheWebhook(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.Config.NoStorage = true
	b.StartReady()
	p := newPerson(t)
	stanza := p.Says(b, "taken at once")
	b.WaitText("taken at once")
	p.Learns(customer.Delivered, stanza)
	id := b.SayWith(p.Number.E164(), "an answer", map[string]any{"biz_opaque_callback_data": "ticket 7"})
	for _, status := range []string{"sent", "delivered", "read"} {
		if u := b.WaitStatus(id, status); u.Opaque != "ticket 7" {
			t.Errorf("the status %s is %+v", status, u)
		}
	}
	b.SetDown(true)
	waits := p.Says(b, "waits for the webhook")
	b.WaitReport("a webhook waits", func(s contract.Status) bool { return s.Counts.WebhookQueued > 0 })
	b.WaitStatusOf(p, "also now")
	if slices.Contains(learnt(p, customer.Delivered), waits) {
		t.Error("the customer's client has a receipt for what the business has not got")
	}
	b.SetDown(false)
	b.WaitText("waits for the webhook")
	p.Learns(customer.Delivered, waits)
	if _, metrics := b.Get("/metrics"); !strings.Contains(string(metrics), `relaykeep_storage_mode{mode="None"} 1`) {
		t.Error("/metrics does not name the mode")
	}
	b.NothingLeaked()
}

// WaitStatusOf sends a customer a text and waits until they have it.
func (b *business) WaitStatusOf(p *customers.Client, text string) {
	b.t.Helper()
	b.Say(p.Number.E164(), text)
	p.Sees(text)
}

// TestNoStorage_KilledRelayTellsWhatItLost kills the relay's process while messages wait for the webhook and for the
// customer: on a volume, in a database, and where another replica takes over.
func TestNoStorage_KilledRelayTellsWhatItLost(t *testing.T) {
	t.Parallel()
	for _, place := range places() {
		t.Run(place.name, func(t *testing.T) {
			t.Parallel()
			b := place.business(t)
			b.StartProcess()
			b.WaitWell()
			b.TakeCredentials()
			p := newPerson(t)
			shy := customers.StartShy(t, shared.prosody, shared.Number())
			shy.Stop() // so that nobody answers the contact request, for which messages wait
			taken := p.Says(b, "the business has this")
			p.Learns(customer.Delivered, taken)
			read := b.Say(p.Number.E164(), "the customer has this")
			b.WaitStatus(read, "read")
			file := b.Keep("image/png", "\x89PNG\r\n\x1a\nwhat lasts for an hour")
			if status, _ := b.Ask(http.MethodGet, "/"+file, "", nil); status != http.StatusOK {
				t.Errorf("before the kill a file answers %d", status)
			}
			waits := []string{b.Say(shy.Number.E164(), "waits for an answer"), b.Say(shy.Number.E164(), "and this")}
			b.SetDown(true)
			var stanzas []string
			for i := range 3 {
				stanzas = append(stanzas, p.Says(b, fmt.Sprint("is lost, number ", i)))
			}
			b.WaitReport("all waits", func(s contract.Status) bool {
				return s.Counts.WebhookQueued >= int64(len(stanzas)) && s.Counts.OutboxQueued >= int64(len(waits))
			})
			place.end(b)
			b.SetDown(false)
			place.again(b)

			for _, id := range waits {
				if u := b.WaitStatus(id, "failed"); u.Code != webhook.CodeContentGone {
					t.Errorf("a message that was not sent failed with %d", u.Code)
				}
			}
			var ids []string
			await.Until(t, "every lost message is told", func() bool {
				ids = nil
				for _, u := range b.Updates() {
					if isLost(u) && !slices.Contains(ids, u.ID) {
						ids = append(ids, u.ID)
					}
				}
				return len(ids) >= len(stanzas)
			})
			var found []string
			for _, id := range ids {
				found = append(found, b.stanzaOf(p, id))
			}
			slices.Sort(found)
			slices.Sort(stanzas)
			if !slices.Equal(found, stanzas) {
				t.Errorf("the lost messages are %q to the customer, who wrote %q", found, stanzas)
			}
			if got := learnt(p, customer.Delivered); !slices.Equal(got, []string{taken}) {
				t.Errorf("the customer's client has receipts for %q, and only %q was taken", got, taken)
			}
			if status, answer := b.Ask(http.MethodGet, "/"+file, "", nil); status == http.StatusOK || !strings.Contains(answer, `"code":100`) {
				t.Errorf("after the kill a file answers %d %s", status, answer)
			}
			b.WaitStatus(b.Say(p.Number.E164(), "here again"), "read")
			p.Says(b, "and so are we")
			b.WaitText("and so are we")
			b.NothingLeaked()
		})
	}
}

// place is where a relay without storage keeps what is no content, and how it ends and comes back.
type place struct {
	name     string
	business func(*testing.T) *business
	end      func(*business)
	again    func(*business)
}

func places() []place {
	on := func(b *business) *business {
		b.Config.NoStorage = true
		return b
	}
	kills, starts := func(b *business) { b.Process().Kill() }, func(b *business) { b.StartProcess(); b.WaitWell() }
	return []place{
		{"on a volume", func(t *testing.T) *business { return on(newBusiness(t)) }, kills, starts},
		{"in a database", func(t *testing.T) *business {
			b, _, _ := newBusinessOnPostgres(t)
			return on(b)
		}, kills, starts},
		{"taken over", func(t *testing.T) *business {
			b, _, _ := newBusinessOnPostgres(t)
			b.Config.Replicated = true
			return on(b)
		}, func(b *business) {
			holder := b.Process()
			b.StartProcess()
			b.Wait(contract.ConditionKeysReady, contract.True, serve.ReasonStandingBy)
			holder.Kill()
		}, func(b *business) {
			b.Wait(contract.ConditionKeysReady, contract.True, serve.ReasonKeysReady)
			b.WaitWell()
		}},
	}
}

// TestNoStorage_KillsLoseNothingInSilence kills the relay's process again and again while both sides write, and looks
// that each message is at its other end or was told as lost, by its id.
func TestNoStorage_KillsLoseNothingInSilence(t *testing.T) {
	t.Parallel()
	const rounds, each = 6, 6
	for _, place := range places()[:2] {
		t.Run(place.name, func(t *testing.T) {
			t.Parallel()
			b := place.business(t)
			b.StartProcess()
			b.WaitWell()
			b.TakeCredentials()
			p := newPerson(t)
			c := &chatter{b: b, p: p, to: b.Phone(), ids: map[string]string{}, stanzas: map[string]string{}}
			for round := range rounds {
				arrive := round%3 == 2            // all of a round's messages, before the next kill
				b.SetDown(!arrive && round%2 > 0) // so that some wait in the relay when it ends
				var wg sync.WaitGroup
				wg.Go(func() { c.customerWrites(round, each) })
				wg.Go(func() { c.businessWrites(round, each) })
				if arrive {
					wg.Wait()
					p.Sees(fmt.Sprintf("business's text %d of round %d", each-1, round))
					b.WaitText(fmt.Sprintf("customer's text %d of round %d", each-1, round))
				}
				wait := time.NewTimer(time.Duration(20+rand.IntN(1000)) * time.Millisecond)
				<-wait.C
				b.Stop()
				b.StartProcess()
				wg.Wait()
			}
			b.SetDown(false)
			c.everythingTold(rounds * each)
			b.NothingLeaked()
		})
	}
}

// everythingTold waits until each message arrived or was told as lost.
func (c *chatter) everythingTold(want int) {
	t := c.b.t
	t.Helper()
	if len(c.stanzas) != want || len(c.ids) != want {
		t.Errorf("%d and %d texts were sent, want %d each", len(c.stanzas), len(c.ids), want)
	}
	failed := 0
	for text, id := range c.ids {
		u := c.b.WaitStatus(id, "read", "failed")
		if u.Status == "failed" {
			failed++
			if u.Code != webhook.CodeContentGone {
				t.Errorf("%q failed with %d", text, u.Code)
			}
			continue
		}
		if n := c.p.Sees(text); n != 1 && !slices.Contains(c.unsure, text) {
			t.Errorf("the customer has %q %d times", text, n)
		}
	}
	var texts, lost []string
	await.Until(t, "each of the customer's messages is told", func() bool {
		texts, lost = nil, nil
		var known []string // lost or not, by the business's ids
		for _, u := range c.b.Updates() {
			if u.Type == "text" {
				texts, known = append(texts, u.Text), append(known, u.ID)
			}
		}
		for _, u := range c.b.Updates() {
			if isLost(u) && !slices.Contains(known, u.ID) {
				lost, known = append(lost, u.ID), append(known, u.ID)
			}
		}
		slices.Sort(texts)
		texts = slices.Compact(texts)
		return len(texts)+len(lost) >= want
	})
	t.Logf("%d of the customer's %d messages arrived and %d were told as lost; %d of the business's failed", len(texts), want, len(lost), failed)
	if len(texts) == 0 || failed == want { // how much is lost depends on the machine; the test above loses some in any case
		t.Error("nothing arrived: nothing is proven")
	}
	gone := map[string]bool{}
	for _, id := range lost {
		gone[c.b.stanzaOf(c.p, id)] = true
	}
	receipts := learnt(c.p, customer.Delivered)
	for text, stanza := range c.stanzas {
		arrived := slices.Contains(texts, text)
		if arrived == gone[stanza] {
			t.Errorf("%q arrived: %v, and was told as lost: %v", text, arrived, gone[stanza])
		}
		if !arrived && slices.Contains(receipts, stanza) {
			t.Errorf("the customer's client has a receipt for %q, which is lost", text)
		}
	}
	if len(gone) != len(lost) {
		t.Errorf("%d lost messages are %d of the customer's", len(lost), len(gone))
	}
	if c.p.Has(func(e customer.Event) bool { return e.Kind == customer.Unreadable }) {
		t.Error("the customer got a message that could not be read")
	}
	c.b.Hide(append(c.asked, c.p.Number.Digits())...)
}
