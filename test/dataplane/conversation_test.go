package dataplane_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/test/await"
	"github.com/relaykeep/relaykeep/test/rig"
)

func TestMessage_TravelsFromCustomerToBusinessAndBack(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.StartReady()
	p := newPerson(t)
	question := p.Says(b, "do you have it in green, size forty-two?")
	in := b.WaitText("do you have it in green, size forty-two?")
	if in.From != p.Number.Digits() {
		t.Error("the webhook names another sender")
	}
	p.Learns(customer.Delivered, question)
	out := b.Say(p.Number.E164(), "we do, shall I put it aside?")
	for _, status := range []string{"sent", "delivered", "read"} {
		b.WaitStatus(out, status)
	}
	if n := p.Sees("we do, shall I put it aside?"); n != 1 {
		t.Errorf("the customer saw the answer %d times", n)
	}
	status, answer := b.Call(b.Token, map[string]string{"messaging_product": "whatsapp", "status": "read", "message_id": in.ID})
	if status != http.StatusOK || answer != `{"success":true}` {
		t.Errorf("marking as read answered %d %s", status, answer)
	}
	p.Learns(customer.Read, question)
	b.NothingLeaked()
}

func TestEndpoint_RefusesOthersThanTheBusiness(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.StartReady()
	p := newPerson(t)
	body := map[string]any{"messaging_product": "whatsapp", "to": p.Number.Digits(), "text": map[string]string{"body": "hello"}}
	if status, answer := b.Call("someone-else's", body); status != http.StatusUnauthorized || !strings.Contains(answer, `"code":190`) {
		t.Errorf("a foreign token got %d %s", status, answer)
	}
	if status, answer := b.Call(b.Token, body); status != http.StatusOK {
		t.Errorf("the business's own token got %d %s", status, answer)
	}
	if status, answer := b.Call(b.Token, "no object"); status != http.StatusBadRequest || !strings.Contains(answer, `"code":100`) {
		t.Errorf("a body that is no object got %d %s", status, answer)
	}
}

func TestCustomer_UnknownIsReportedAsUndeliverable(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.StartReady()
	id := b.Say(shared.Number(), "is anybody there?")
	if u := b.WaitStatus(id, "failed"); u.Errors != 1 || u.Code != 131026 {
		t.Errorf("%d errors, the first is %d, want 131026", u.Errors, u.Code)
	}
}

func TestRelay_IsReadyAfterItsFirstStartAndItsSecond(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.StartReady()
	first := b.Took()
	b.Stop()
	b.StartReady()
	t.Logf("the endpoint was up %s after the first start, %s after the second", first, b.Took())
	if code, body := b.Get("/readyz"); code != http.StatusOK {
		t.Errorf("/readyz answers %d %s", code, body)
	}
}

func TestRestart_KeepsIdentitySessionsAndQueues(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.StartReady()
	p := newPerson(t)
	p.Says(b, "before the restart")
	b.WaitText("before the restart")
	before := b.Report()
	b.SetDown(true)
	p.Says(b, "the receiver is down")
	await.Until(t, "the webhook's job is queued", func() bool { return b.Report().Counts.WebhookQueued > 0 })
	b.Stop()
	p.Says(b, "nobody is at home")
	b.SetDown(false)
	b.StartReady()
	b.WaitText("the receiver is down")
	b.WaitText("nobody is at home")
	after := b.Report()
	if before.Fingerprint != after.Fingerprint || before.PhoneNumberID != after.PhoneNumberID || !before.InitializedTime.Equal(*after.InitializedTime) {
		t.Error("the identity is another after a restart")
	}
	b.WaitStatus(b.Say(p.Number.E164(), "here again"), "read")
	if n := p.Sees("here again"); n != 1 {
		t.Errorf("the customer saw it %d times", n)
	}
	b.NothingLeaked()
}

func TestStatusAndMetricsTellStatesAndCountsOnly(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.StartReady()
	p := newPerson(t)
	p.Says(b, "count me")
	b.WaitText("count me")
	b.WaitStatus(b.Say(p.Number.E164(), "please count this"), "read")
	s := b.Report()
	if s.Counts.MessagesIn != 1 || s.Counts.MessagesOut != 1 || len(s.ConfigHash) != 64 || s.OldestKeyTime == nil {
		t.Errorf("the status is %+v", s)
	}
	if len(strings.Fields(s.Fingerprint)) != 8 {
		t.Errorf("the fingerprint is %q", s.Fingerprint)
	}
	_, metrics := b.Get("/metrics")
	for _, want := range []string{
		`relaykeep_messages_total{event="received"} 1`, `relaykeep_messages_total{event="read"} 1`,
		`relaykeep_condition{type="KeysReady"} 1`, `relaykeep_requests_total{code="0",route="messages",status="200"} 1`,
		`relaykeep_build_info{version="test"} 1`,
	} {
		if !bytes.Contains(metrics, []byte(want)) {
			t.Errorf("/metrics has no %s", want)
		}
	}
	_, status := b.Get("/status")
	if n := rig.Leaks(append(metrics, status...), append(b.Hidden(), p.Number.Digits())); n > 0 {
		t.Errorf("status and metrics hold %d secrets", n)
	}
	if code, _ := b.Get("/healthz"); code != http.StatusOK {
		t.Errorf("/healthz answers %d", code)
	}
}
