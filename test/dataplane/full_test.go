package dataplane_test

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
	"github.com/relaykeep/relaykeep/test/await"
	"github.com/relaykeep/relaykeep/test/rig"
)

// onSmallVolume gives a relay that does not run yet a file system of 24 MB, which only
// root may mount. One customer may use 3 MB of it.
func (b *business) onSmallVolume() {
	b.t.Helper()
	if os.Geteuid() != 0 {
		b.t.Skip("SKIPPED: mounting a small file system takes root; nothing here was tested")
	}
	image, dir := filepath.Join(b.t.TempDir(), "image"), b.Volume()
	check(b.t, os.WriteFile(image, make([]byte, 24<<20), 0o600))
	for _, args := range [][]string{{"mkfs.ext4", "-q", "-m", "0", image}, {"mount", "-o", "loop", image, dir}} {
		if out, err := exec.CommandContext(b.t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
			b.t.Skipf("SKIPPED: a small file system: %v: %s", err, out)
		}
	}
	b.t.Cleanup(func() { _ = exec.Command("umount", dir).Run() })
	check(b.t, os.Remove(filepath.Join(dir, "lost+found")))
}

// trySend asks the endpoint to send a text, and returns the message's id or the error's code.
func (b *business) trySend(to, text string) (id string, code int) {
	b.t.Helper()
	_, answer := b.Call(b.Token, map[string]any{"messaging_product": "whatsapp", "to": to, "text": map[string]string{"body": text}})
	var refused struct{ Error struct{ Code int } }
	check(b.t, json.Unmarshal([]byte(answer), &refused))
	return rig.MessageID(answer), refused.Error.Code
}

// kept returns the ids of the messages that the endpoint says are kept of somebody.
func (b *business) kept(number string) (ids []string) {
	b.t.Helper()
	status, answer := b.Request(http.MethodGet, "/customers/"+number[1:]+"?limit=500", b.Token, nil)
	var export struct {
		Messages struct{ Data []struct{ ID string } }
	}
	if status != http.StatusOK || json.Unmarshal([]byte(answer), &export) != nil {
		b.t.Fatalf("the export answers %d", status)
	}
	for _, m := range export.Messages.Data {
		ids = append(ids, m.ID)
	}
	return ids
}

// fill uploads pictures until there is no room for files, and then writes to strangers
// until there is none for messages; it returns the ids of what was accepted for each.
func (b *business) fill() (sent map[string][]string) {
	b.t.Helper()
	picture := "\x89PNG\r\n\x1a\n" + strings.Repeat("pixels", 1<<18)
	for status := http.StatusOK; status == http.StatusOK; {
		status, _ = b.Upload("image/png", picture)
	}
	text := strings.Repeat("😀", 4096) // 16 KiB
	sent = map[string][]string{}
	for range 100 {
		to := shared.Number()
		for range 40 {
			id, code := b.trySend(to, text)
			if code == 131016 {
				return sent
			}
			if code != 0 && code != 130429 { // the business's own pace
				b.t.Fatalf("the endpoint answers %d", code)
			}
			if id != "" {
				sent[to] = append(sent[to], id)
			}
		}
	}
	b.t.Fatal("64 MB of texts fit into 24 MB")
	return nil
}

func TestVolume_FullRefusesUntilAPersonIsErased(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.onSmallVolume()
	b.StartReady()
	p := newPerson(t)
	p.Says(b, "before it was full")
	b.WaitText("before it was full")

	sent := b.fill()
	b.Wait(contract.ConditionVolumeHasRoom, contract.False, "VolumeFull")
	waits := strings.Repeat("while it was full ", 2000)
	p.Says(b, waits)
	first := ""
	for to, ids := range sent {
		if len(ids) > len(sent[first]) {
			first = to
		}
	}
	await.Until(t, "the erasure is done", func() bool { // 131016 says that the carrier's part is left: the link may be down
		status, _ := b.Request(http.MethodDelete, "/customers/"+first[1:], b.Token, nil)
		return status == http.StatusOK
	})
	b.WaitText(waits) // it was taken at once, or waited at the carrier
	b.Wait(contract.ConditionVolumeHasRoom, contract.True, "")
	b.Say(p.Number.E164(), "after the erasure")
	p.Sees("after the erasure")
	p.Says(b, "once more")
	b.WaitText("once more")

	delete(sent, first)
	for to, ids := range sent {
		if got := b.kept(to); !slices.Equal(got, ids) {
			t.Errorf("%d messages are kept, %d were accepted", len(got), len(ids))
		}
	}
}

func TestQuota_FullCustomerDoesNotStopAnother(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.onSmallVolume()
	b.StartReady()
	greedy, other := newPerson(t), newPerson(t)
	is := func(kind customer.EventKind, id string) bool {
		return greedy.Has(func(e customer.Event) bool { return e.Kind == kind && e.ID == id })
	}
	refused := false
	taken := 0
	for n := 0; n < 100 && !refused; n++ {
		id := greedy.Says(b, strings.Repeat(string(rune('a'+n%26)), 60<<10))
		await.Until(t, "an answer to the customer's message", func() bool {
			refused = is(customer.Bounced, id)
			return refused || is(customer.Delivered, id)
		})
		if !refused {
			taken++
		}
	}
	if !refused || taken < 40 || taken > 52 {
		t.Fatalf("%d texts of 60 KiB were taken of one customer, want about 50", taken)
	}
	b.WaitUpdate("the refusal", func(u webhooktest.Update) bool { return u.Type == "unsupported" && u.From == greedy.Number.Digits() })
	code := 0
	for n := 0; n < 10 && code == 0; n++ { // there may be room for a few that are smaller
		_, code = b.trySend(greedy.Number.E164(), strings.Repeat("😀", 4096))
	}
	if code != 131056 {
		t.Errorf("to that customer the endpoint answers %d, want 131056", code)
	}
	other.Says(b, "good morning")
	b.WaitText("good morning")
	b.Say(other.Number.E164(), "good morning to you")
	other.Sees("good morning to you")
	b.Wait(contract.ConditionVolumeHasRoom, contract.True, "")
	if _, metrics := b.Get("/metrics"); !strings.Contains(string(metrics), `relaykeep_quota_refusals_total{direction="inbound"} 1`) {
		t.Error("the refusal was not counted")
	}
}
