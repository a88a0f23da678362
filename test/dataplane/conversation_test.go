package dataplane_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/customer"
)

func TestMessage_TravelsFromCustomerToBusinessAndBack(t *testing.T) {
	b := newBusiness(t)
	b.startReady()
	p := newPerson(t)
	question := p.says(b, "do you have it in green, size forty-two?")
	in := b.waitText("do you have it in green, size forty-two?")
	if in.From != p.number.Digits() {
		t.Error("the webhook names another sender")
	}
	p.learns(customer.Delivered, question)
	out := b.say(p.number.E164(), "we do, shall I put it aside?")
	for _, status := range []string{"sent", "delivered", "read"} {
		b.waitStatus(out, status)
	}
	if n := p.sees("we do, shall I put it aside?"); n != 1 {
		t.Errorf("the customer saw the answer %d times", n)
	}
	status, answer := b.call(b.token, map[string]string{"messaging_product": "whatsapp", "status": "read", "message_id": in.ID})
	if status != http.StatusOK || answer != `{"success":true}` {
		t.Errorf("marking as read answered %d %s", status, answer)
	}
	p.learns(customer.Read, question)
	b.nothingLeaked()
}

// nothingLeaked looks for numbers, texts and credentials in the relay's log, volume
// and metrics, having proven that it finds them.
func (b *business) nothingLeaked() {
	b.t.Helper()
	b.stop()
	for name, data := range map[string][]byte{"log": b.log.bytes(), "volume": b.volume()} {
		if len(data) < 100 {
			b.t.Errorf("the %s is empty: nothing was looked at", name)
		}
		if n := leaks(data, b.hidden); n > 0 {
			b.t.Errorf("the %s holds %d of %d secrets", name, n, len(b.hidden))
		}
		canary := append(bytes.Clone(data), "Y2FuYXJ5IGlu 63616e61727920696e canary in"...)
		if leaks(canary[len(data):], []string{"canary in"}) != 1 || leaks(canary, append(b.hidden, "canary in")) != 1 {
			b.t.Errorf("the scanner does not find its canary in the %s", name)
		}
	}
	if b.unsigned > 0 {
		b.t.Errorf("%d webhooks had no valid signature or shape", b.unsigned)
	}
}

func TestEndpoint_RefusesOthersThanTheBusiness(t *testing.T) {
	b := newBusiness(t)
	b.startReady()
	p := newPerson(t)
	body := map[string]any{"messaging_product": "whatsapp", "to": p.number.Digits(), "text": map[string]string{"body": "hello"}}
	if status, answer := b.call("someone-else's", body); status != http.StatusUnauthorized || !strings.Contains(answer, `"code":190`) {
		t.Errorf("a foreign token got %d %s", status, answer)
	}
	if status, answer := b.call(b.token, body); status != http.StatusOK {
		t.Errorf("the business's own token got %d %s", status, answer)
	}
	if status, answer := b.call(b.token, "no object"); status != http.StatusBadRequest || !strings.Contains(answer, `"code":100`) {
		t.Errorf("a body that is no object got %d %s", status, answer)
	}
}

func TestCustomer_UnknownIsReportedAsUndeliverable(t *testing.T) {
	b := newBusiness(t)
	b.startReady()
	id := b.say(shared.number(), "is anybody there?")
	if u := b.waitStatus(id, "failed"); u.Errors != 1 || u.Code != 131026 {
		t.Errorf("%d errors, the first is %d, want 131026", u.Errors, u.Code)
	}
}

func TestRelay_IsReadyAfterItsFirstStartAndItsSecond(t *testing.T) {
	b := newBusiness(t)
	b.startReady()
	first := b.took
	b.stop()
	b.startReady()
	t.Logf("the endpoint was up %s after the first start, %s after the second", first, b.took)
	if code, body := b.get("/readyz"); code != http.StatusOK {
		t.Errorf("/readyz answers %d %s", code, body)
	}
}

func TestRestart_KeepsIdentitySessionsAndQueues(t *testing.T) {
	b := newBusiness(t)
	b.startReady()
	p := newPerson(t)
	p.says(b, "before the restart")
	b.waitText("before the restart")
	before := b.report()
	b.setDown(true)
	p.says(b, "the receiver is down")
	eventually(t, "the webhook's job is queued", func() bool { return b.report().Counts.WebhookQueued > 0 })
	b.stop()
	p.says(b, "nobody is at home")
	b.setDown(false)
	b.startReady()
	b.waitText("the receiver is down")
	b.waitText("nobody is at home")
	after := b.report()
	if before.Fingerprint != after.Fingerprint || before.PhoneNumberID != after.PhoneNumberID || !before.InitializedTime.Equal(*after.InitializedTime) {
		t.Error("the identity is another after a restart")
	}
	b.waitStatus(b.say(p.number.E164(), "here again"), "read")
	if n := p.sees("here again"); n != 1 {
		t.Errorf("the customer saw it %d times", n)
	}
	b.nothingLeaked()
}

func TestStatusAndMetricsTellStatesAndCountsOnly(t *testing.T) {
	b := newBusiness(t)
	b.startReady()
	p := newPerson(t)
	p.says(b, "count me")
	b.waitText("count me")
	b.waitStatus(b.say(p.number.E164(), "counted"), "read")
	s := b.report()
	if s.Counts.MessagesIn != 1 || s.Counts.MessagesOut != 1 || len(s.ConfigHash) != 64 || s.OldestKeyTime == nil {
		t.Errorf("the status is %+v", s)
	}
	if len(strings.Fields(s.Fingerprint)) != 8 {
		t.Errorf("the fingerprint is %q", s.Fingerprint)
	}
	_, metrics := b.get("/metrics")
	for _, want := range []string{
		`relaykeep_messages_total{event="received"} 1`, `relaykeep_messages_total{event="read"} 1`,
		`relaykeep_condition{type="KeysReady"} 1`, `relaykeep_requests_total{code="0",route="messages",status="200"} 1`,
		`relaykeep_build_info{version="test"} 1`,
	} {
		if !bytes.Contains(metrics, []byte(want)) {
			t.Errorf("/metrics has no %s", want)
		}
	}
	_, status := b.get("/status")
	if n := leaks(append(metrics, status...), append(b.hidden, p.number.Digits())); n > 0 {
		t.Errorf("status and metrics hold %d secrets", n)
	}
	if code, _ := b.get("/healthz"); code != http.StatusOK {
		t.Errorf("/healthz answers %d", code)
	}
}
