package dataplane_test

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
)

func TestContacts_ReachTheCustomerAsAFileAndAText(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.StartReady()
	p := newPerson(t)
	b.Hide("Barbara J. Johnson", "650 555 9999")
	id := b.Send(map[string]any{"to": p.Number.E164(), "type": "contacts", "contacts": []any{map[string]any{
		"name": map[string]string{"formatted_name": "Barbara J. Johnson"}, "phones": []any{map[string]string{"phone": "+1 650 555 9999", "type": "CELL"}},
	}}})
	b.WaitStatus(id, "read")
	p.Shown("Barbara J. Johnson\n+1 650 555 9999 (CELL)")
	path, err := p.SaveFile(t.Context(), seesFile(p), t.TempDir())
	check(t, err)
	file, err := os.ReadFile(path)
	check(t, err)
	if !strings.HasSuffix(path, ".vcf") || !strings.Contains(string(file), "\r\nTEL;TYPE=CELL:+1 650 555 9999\r\n") {
		t.Errorf("the customer has %q: %s", path, file)
	}
	b.NothingLeaked()
}

func TestTemplate_SurvivesARestartAndItsButtonComesBack(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.StartReady()
	path := "/" + b.Report().BusinessAccountID + "/message_templates"
	const template = `{"name":"order","language":"en_US","category":"UTILITY","components":[{"type":"HEADER","format":"IMAGE"},{"type":"BODY","text":"Order {{1}} is ready."},` +
		`{"type":"BUTTONS","buttons":[{"type":"QUICK_REPLY","text":"Bring it"},{"type":"URL","text":"Track","url":"https://shop.test/{{1}}"}]}]}`
	if status, answer := b.Ask(http.MethodPost, path, "application/json", []byte(template)); status != http.StatusOK {
		t.Fatalf("%d %s", status, answer)
	}
	b.Stop()
	b.StartReady()
	if status, answer := b.Ask(http.MethodGet, path+"?name=order", "", nil); status != http.StatusOK || !strings.Contains(answer, `"name":"order"`) {
		t.Fatalf("%d %s", status, answer)
	}
	p := newPerson(t)
	b.Hide("Order 42 is ready", "payload of order 42")
	values := func(kind, value string) []any { return []any{map[string]any{"type": kind, kind: value}} }
	id := b.Send(map[string]any{"to": p.Number.E164(), "type": "template", "biz_opaque_callback_data": "ticket 7", "template": map[string]any{
		"name": "order", "language": map[string]string{"code": "en_US"}, "components": []any{
			map[string]any{"type": "header", "parameters": []any{map[string]any{"type": "image", "image": map[string]string{"id": b.Keep("image/png", "\x89PNG\r\n\x1a\npixels")}}}},
			map[string]any{"type": "body", "parameters": values("text", "42")},
			map[string]any{"type": "button", "sub_type": "quick_reply", "index": "0", "parameters": values("payload", "payload of order 42")},
			map[string]any{"type": "button", "sub_type": "url", "index": "1", "parameters": values("text", "42")},
		},
	}})
	if u := b.WaitUpdate("the status", func(u webhooktest.Update) bool { return u.ID == id && u.Status == "read" }); u.Opaque != "ticket 7" {
		t.Errorf("the status is %+v", u)
	}
	seesFile(p)
	p.Shown("Order 42 is ready.\n\n1. Bring it\n\nTrack: https://shop.test/42")
	p.Says(b, "bring it")
	if u := b.WaitUpdate("a button", func(u webhooktest.Update) bool { return u.Type == "button" }); u.Chosen != "payload of order 42" || u.Context != id {
		t.Errorf("the button is %+v", u)
	}
	b.NothingLeaked()
}
