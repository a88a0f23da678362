package interop_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/xmpp"
	"github.com/relaykeep/relaykeep/relay/serve"
	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
	"github.com/relaykeep/relaykeep/test/await"
	"github.com/relaykeep/relaykeep/test/rig"
)

// shared is the house of all businesses; each test has an XMPP server of its own.
var shared *rig.House

func TestMain(m *testing.M) {
	os.Exit(rig.Main(func(_ context.Context, h *rig.House) (int, error) {
		shared = h
		return m.Run(), nil
	}))
}

// server is what the tests need of an XMPP server.
type server interface {
	rig.Carrier
	AddAccount(ctx context.Context, user, password string) error
	Restart(ctx context.Context) error
}

// business is a real relay, and the business's own programs.
type business struct {
	*rig.Business
	t *testing.T
}

// startBusiness runs a relay until the test ends. All of its webhooks must be signed.
func startBusiness(t *testing.T, server server) *business {
	t.Helper()
	b := &business{shared.NewBusiness(t, server), t}
	b.startReady()
	b.waitPublished(server)
	t.Cleanup(func() {
		if n := b.Unsigned(); n > 0 {
			t.Errorf("%d webhooks had no valid signature or shape", n)
		}
	})
	return b
}

// startReady runs the relay, which may fetch what the business links to on this machine.
func (b *business) startReady() {
	b.t.Helper()
	b.StartReady(func(o *serve.Options) { o.AllowLinks = netip.Addr.IsLoopback })
}

// waitPublished waits until a stranger finds the relay's keys: Profanity looks for them
// once. The list of devices is the last that a relay publishes.
func (b *business) waitPublished(server server) {
	b.t.Helper()
	link, end := logIn(b.t, server, strangerNumber, xmpp.Open)
	defer end()
	await.Until(b.t, "the relay's keys are published", func() bool {
		_, err := link.Devices(b.t.Context(), b.Phone(), carrier.Legacy)
		return err == nil
	})
}

// waitIdle waits until the carrier has taken all that was to be sent: what has no
// status of its own, too.
func (b *business) waitIdle() {
	b.t.Helper()
	b.WaitReport("nothing is left to be sent", func(s contract.Status) bool { return s.Counts.OutboxQueued == 0 })
}

// waitText waits until a text of a customer's is delivered to the webhook. What is
// delivered before must be texts of theirs, too.
func (b *business) waitText(from, text string) {
	b.t.Helper()
	for {
		m := b.Next()
		if m.Type != "text" || m.From != strings.TrimPrefix(from, "+") {
			b.t.Errorf("while waiting for a text, a message of type %s came", m.Type)
		}
		if m.Text == text {
			return
		}
	}
}

// outcome waits until the webhook has told whether a message was delivered or
// failed.
func (b *business) outcome(id string) string {
	b.t.Helper()
	return b.WaitStatus(id, "delivered", "failed").Status
}

// upload uploads a picture and returns its id.
func (b *business) upload(content []byte) string {
	b.t.Helper()
	return b.Keep("image/jpeg", string(content))
}

// markRead tells a customer that a message was read, and that an answer is coming.
func (b *business) markRead(id string) {
	b.t.Helper()
	status, answer := b.Call(b.Token, map[string]any{
		"messaging_product": "whatsapp", "status": "read", "message_id": id, "typing_indicator": map[string]string{"type": "text"},
	})
	b.wantOK(status, answer)
}

// wantOK wants that the endpoint did what it was asked, and returns its answer.
func (b *business) wantOK(status int, answer string) string {
	b.t.Helper()
	if status != http.StatusOK {
		b.t.Fatalf("the endpoint answers %d: %s", status, answer)
	}
	return answer
}

// download fetches a file that a customer sent, by the address that the relay gives.
func (b *business) download(f webhooktest.File) []byte {
	b.t.Helper()
	var info struct{ URL string }
	check(b.t, json.Unmarshal([]byte(b.wantOK(b.Ask(http.MethodGet, "/"+f.ID, "", nil))), &info))
	path, ok := strings.CutPrefix(info.URL, b.Config.Endpoint.URL)
	if !ok {
		b.t.Fatalf("the file is at %s", info.URL)
	}
	status, answer, err := b.Try(b.Token, http.MethodGet, path, "", nil)
	check(b.t, err)
	content := []byte(b.wantOK(status, answer))
	sum := sha256.Sum256(content)
	if base64.StdEncoding.EncodeToString(sum[:]) != f.SHA256 {
		b.t.Error("the file's hash is not the one that the webhook told")
	}
	return content
}

// counted waits until a metric of the relay's has a value.
func (b *business) counted(event string, n int) {
	b.t.Helper()
	want := fmt.Sprintf("relaykeep_messages_total{event=%q} %d", event, n)
	await.Until(b.t, "the relay's metrics show "+want, func() bool {
		_, metrics := b.Get("/metrics")
		return strings.Contains(string(metrics), want)
	})
}
