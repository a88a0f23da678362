package webhooktest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDecode_UpdatesComeInOrder(t *testing.T) {
	got, err := Decode([]byte(`{"entry":[{"changes":[{"value":{
		"contacts":[{"identity_key_hash":"aGFzaA=="}],
		"messages":[
			{"id":"wamid.A","from":"491713920042","type":"text","text":{"body":"Hello"},"unencrypted":true},
			{"id":"wamid.B","from":"491713920042","type":"image","image":{"id":"7","mime_type":"image/png","caption":"look"}},
			{"id":"wamid.C","from":"491713920042","type":"unsupported","errors":[{"code":131051,"error_data":{"details":"why"}}]}],
		"statuses":[{"id":"wamid.D","status":"sent","recipient_id":"491713920042","biz_opaque_callback_data":"order 7"}]}}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	const from, hash = "491713920042", "aGFzaA=="
	want := []Update{
		{ID: "wamid.A", From: from, Type: "text", Text: "Hello", Unencrypted: true, Identity: hash},
		{ID: "wamid.B", From: from, Type: "image", File: File{ID: "7", MIME: "image/png", Caption: "look"}, Identity: hash},
		{ID: "wamid.C", From: from, Type: "unsupported", Code: 131051, Details: "why", Errors: 1, Identity: hash},
		{ID: "wamid.D", Status: "sent", Recipient: from, Opaque: "order 7"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDecode_EveryChangeOfEveryEntryIsRead(t *testing.T) {
	got, err := Decode([]byte(`{"entry":[{"changes":[{"value":{"messages":[{"id":"A","type":"text"}]}},{"value":{"statuses":[{"id":"B","status":"sent"}]}}]},
		{"changes":[{"value":{"contacts":[{"profile":{"name":"Ada"}}],"messages":[{"id":"C","type":"text"}]}}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []Update{{ID: "A", Type: "text"}, {ID: "B", Status: "sent"}, {ID: "C", Type: "text", Name: "Ada"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDecode_NoticeOfTheSystemNamesItsKey(t *testing.T) {
	got, err := Decode([]byte(`{"entry":[{"changes":[{"value":{"contacts":[{"profile":{"name":"Ada"}}],"messages":[
		{"id":"wamid.A","type":"system","system":{"type":"customer_identity_changed","identity":"aGFzaA==","accepted":true}}]}}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []Update{{ID: "wamid.A", Type: "system", Name: "Ada", System: "customer_identity_changed", Identity: "aGFzaA==", Accepted: true}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDecode_WhatIsAboutAnotherMessageNamesIt(t *testing.T) {
	got, err := Decode([]byte(`{"entry":[{"changes":[{"value":{"messages":[
		{"id":"A","type":"text","text":{"body":"42"},"context":{"from":"49","id":"Q"},"unencrypted_fields":["context"]},
		{"id":"B","type":"edit","edit":{"original_message_id":"O","message":{"type":"text","text":{"body":"43"},"context":{"id":"Q"}}}},
		{"id":"C","type":"reaction","reaction":{"message_id":"Q","emoji":"👍"},"unencrypted":true},
		{"id":"D","type":"reaction","reaction":{"message_id":"Q"}},
		{"id":"E","type":"revoke","revoke":{"original_message_id":"O"}}]}}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []Update{
		{ID: "A", Type: "text", Text: "42", Context: "Q", ContextFrom: "49", Clear: "context"},
		{ID: "B", Type: "edit", Text: "43", Context: "Q", About: "O"},
		{ID: "C", Type: "reaction", About: "Q", Emoji: "👍", HasEmoji: true, Unencrypted: true},
		{ID: "D", Type: "reaction", About: "Q"},
		{ID: "E", Type: "revoke", About: "O"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDecode_BodyThatIsNoWebhookIsRefused(t *testing.T) {
	for _, body := range []string{``, `{`, `{}`, `{"entry":[]}`, `{"entry":[{"changes":[]}]}`, `{"entry":[{"changes":[{}]},{}]}`} {
		if got, err := Decode([]byte(body)); err == nil {
			t.Errorf("%q is read as %v", body, got)
		}
	}
}
