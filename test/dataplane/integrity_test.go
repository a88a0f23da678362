package dataplane_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/serve"
	"github.com/relaykeep/relaykeep/test/await"
)

// tryStranger writes to somebody who never wrote to the business.
func (b *business) tryStranger(n int) (status int, answer string) {
	b.t.Helper()
	return b.Call(b.Token, map[string]any{
		"messaging_product": "whatsapp", "to": fmt.Sprintf("+49309%06d", n), "type": "text", "text": map[string]string{"body": "an offer"},
	})
}

// strangers writes to so many people who never wrote to the business, from the first on, and returns to how many it may.
func (b *business) strangers(first, n int) (allowed int) {
	b.t.Helper()
	for i := range n {
		status, answer := b.tryStranger(first + i)
		switch {
		case status == http.StatusOK:
			allowed++
		case status != http.StatusTooManyRequests || !strings.Contains(answer, `"code":131048`):
			b.t.Fatalf("stranger %d: %d %s", first+i, status, answer)
		}
	}
	return allowed
}

// firstContacts is how many strangers the business wrote to, as the metrics have it.
func (b *business) firstContacts() float64 {
	b.t.Helper()
	n, found := b.gauge("relaykeep_first_contacts", "")
	if !found {
		b.t.Error("the metrics have no first contacts")
	}
	return n
}

// TestFirstContacts_OfASpammerAreRefusedUntilAnAdminExemptsIt covers error 131048 through a relay: it comes, survives a restart,
// never concerns who wrote to the business, and lifts with the exemption.
func TestFirstContacts_OfASpammerAreRefusedUntilAnAdminExemptsIt(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.Config.Throughput = 1000
	b.Limit(contract.LimitsEnforced)
	b.StartReady()
	p := newPerson(t)
	p.Says(b, "where is my parcel?")
	b.WaitText("where is my parcel?")
	if allowed := b.strangers(0, 400); allowed > 130 {
		t.Errorf("%d of 400 strangers were written to", allowed)
	}
	b.Wait(contract.ConditionSendingUnlimited, contract.False, serve.ReasonHeld)
	b.WaitStatus(b.Say(p.Number.E164(), "it comes today"), "read")

	b.Stop()
	b.Start()
	b.Wait(contract.ConditionSendingUnlimited, contract.False, serve.ReasonHeld)
	b.WaitReady()
	if b.strangers(1000, 1) > 0 {
		t.Error("after a restart a stranger is written to")
	}
	if s := b.Report(); s.Integrity == nil || !s.Integrity.Held || s.Integrity.DailyLimit != 250 || s.Integrity.FirstContacts < 50 {
		t.Errorf("the status says %+v", s.Integrity)
	}
	if _, metrics := b.Get("/metrics"); !strings.Contains(string(metrics), `relaykeep_sending_state{state="Held"} 1`) {
		t.Error("the metrics do not show the hold")
	}
	b.Limit(contract.LimitsExempt)
	await.Until(t, "the exemption counts", func() bool {
		status, _ := b.tryStranger(2000)
		return status == http.StatusOK
	})
	b.Wait(contract.ConditionSendingUnlimited, contract.True, serve.ReasonExempt)
	b.NothingLeaked()
}
