package lab

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
)

const lines = `{"time":"2026-11-23T09:00:00Z","event":"handshake"}
{"time":"2026-11-23T09:00:01Z","event":"webhook","body":{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"messages":[{"id":"wamid.A","from":"491713920042","type":"text","text":{"body":"Hello"}}]}}]}]}}
receiver: something that is no object
{"time":"2026-11-23T09:00:02Z","event":"webhook","body":{"entry":[{"changes":[{"value":{"statuses":[{"id":"wamid.B","status":"sent"},{"id":"wamid.B","status":"read"}]}}]}]}}
{"time":"2026-11-23T09:00:03Z","event":"webh`

func TestMessagesAreReadFromWhatTheReceiverPrinted(t *testing.T) {
	got, err := messages([]byte(lines))
	if err != nil {
		t.Fatal(err)
	}
	want := []webhooktest.Update{
		{ID: "wamid.A", From: "491713920042", Type: "text", Text: "Hello"},
		{ID: "wamid.B", Status: "sent"},
		{ID: "wamid.B", Status: "read"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestInboxShowsOnlyWhatCameSinceItWasOpened(t *testing.T) {
	l := &Lab{dir: t.TempDir()}
	file := l.WebhookLog(Acme)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(lines+"\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	inbox, err := l.OpenInbox(Acme)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := inbox.Messages(); err != nil || len(got) != 0 {
		t.Fatalf("a new inbox holds %v, %v", got, err)
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(lines); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	m, err := inbox.Wait(t.Context(), "the status", func(m webhooktest.Update) bool { return m.Status == "read" })
	if err != nil || m.ID != "wamid.B" {
		t.Errorf("got %v, %v", m, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := inbox.Wait(ctx, "what never comes", func(webhooktest.Update) bool { return false }); err == nil {
		t.Error("found what is not there")
	}
}

func FuzzMessages(f *testing.F) {
	f.Add([]byte(lines))
	f.Add([]byte("{}\n{"))
	f.Fuzz(func(_ *testing.T, data []byte) { _, _ = messages(data) })
}
