package message_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/carriertest"
	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/store"
)

// smallVolume is a directory on a file system of 24 MB, which only root may mount: a
// customer may use 3 MB of it.
func smallVolume(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: mounting a small file system takes root; nothing here was tested")
	}
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: mounting a small file system: %v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", dir).Run() })
	return filepath.Join(dir, "data")
}

// withQuota runs a test with a customer who has used up their share, and with another;
// told is what the business got so far.
func withQuota(t *testing.T, test func(t *testing.T, w *world, greedy, other *person, told []event)) {
	volume, dirs := smallVolume(t), [2]string{t.TempDir(), t.TempDir()}
	inBubbleWith(t, func(w *world) { w.dir, w.web = volume, newWeb() }, func(t *testing.T, w *world) {
		greedy, other := w.customer(dirs[0], alice), w.customer(dirs[1], "+15550104444")
		greedy.says(w.number, "hello")
		var told []event
		for n := 0; len(w.carrier.Refusals()) == 0 && n < 100; n++ {
			greedy.says(w.number, strings.Repeat("x", 60<<10))
			told = append(told, w.take()...)
		}
		test(t, w, greedy, other, told)
	})
}

// unsupported returns those that tell that a message was not read.
func unsupported(events []event) []event {
	return slices.DeleteFunc(slices.Clone(events), func(e event) bool { return e.Type != "unsupported" })
}

func TestQuota_FullCustomerLeavesTheOthersAlone(t *testing.T) {
	withQuota(t, func(t *testing.T, w *world, greedy, other *person, told []event) {
		if n := len(texts(told)); n < 45 || n > 52 {
			t.Errorf("%d texts of 60 KiB of one customer were taken, want about 50", n)
		}
		if got := unsupported(told); len(got) != 1 || !strings.Contains(got[0].Details, "share") {
			t.Errorf("the business was told %+v of the refusal", got)
		}
		want := carriertest.Refusal{To: greedy.number, Refusal: carrier.Refusal{Resource: "phone", ID: greedy.carrier.Last().ID, Kind: carrier.OverQuota}}
		if got := w.carrier.Refusals(); !slices.Equal(got, []carriertest.Refusal{want}) {
			t.Errorf("the customer's client was told %+v, want %+v", got, want)
		}
		for range 5 {
			greedy.says(w.number, strings.Repeat("y", 60<<10))
		}
		if got := w.take(); len(got) != 0 || len(w.carrier.Refusals()) != 6 || w.OverQuota(message.OverQuotaInbound) != 6 {
			t.Errorf("after 5 more the business got %d events, %d were refused and %d counted",
				len(got), len(w.carrier.Refusals()), w.OverQuota(message.OverQuotaInbound))
		}

		other.says(w.number, "good morning")
		if got := texts(w.take()); !slices.Equal(got, []string{"good morning"}) {
			t.Errorf("of another customer the business got %q", got)
		}
		w.says(other.number, "good morning to you")
		w.settle()
		if got := other.got(); !slices.Equal(got, []string{"good morning to you"}) {
			t.Errorf("another customer got %q", got)
		}
	})
}

func TestQuota_BusinessIsRefused(t *testing.T) {
	withQuota(t, func(t *testing.T, w *world, greedy, other *person, _ []event) {
		long := strings.Repeat("z", 60<<10)
		if _, err := w.AcceptText(t.Context(), message.Text{To: greedy.number, Body: long}); !errors.Is(err, store.ErrQuota) {
			t.Errorf("to the customer: %v, want ErrQuota", err)
		}
		if n := w.OverQuota(message.OverQuotaOutbound); n != 1 {
			t.Errorf("%d were counted, want 1", n)
		}
		w.says(other.number, long)
		w.settle()
		if got := other.got(); len(got) != 1 {
			t.Errorf("another customer got %d texts, want 1", len(got))
		}
	})
}

func TestQuota_RefusalIsToldOnceADay(t *testing.T) {
	withQuota(t, func(t *testing.T, w *world, greedy, _ *person, _ []event) {
		elapse(23 * time.Hour)
		greedy.says(w.number, strings.Repeat("a", 60<<10))
		if got := unsupported(w.take()); len(got) != 0 {
			t.Errorf("within a day the business was told again: %+v", got)
		}
		w.stop()
		w.start()
		elapse(2 * time.Hour)
		greedy.says(w.number, strings.Repeat("b", 60<<10))
		if got := unsupported(w.take()); len(got) != 1 {
			t.Errorf("a day later the business was told %d times, want once", len(got))
		}
	})
}

func TestQuota_ErasedCustomerHasTheirShareAgain(t *testing.T) {
	withQuota(t, func(t *testing.T, w *world, greedy, _ *person, _ []event) {
		check(t, w.Erase(t.Context(), greedy.number))
		greedy.says(w.number, "may I?")
		w.take() // the session is gone: the relay offers another
		greedy.says(w.number, strings.Repeat("c", 60<<10))
		if got := texts(w.take()); len(got) != 1 || len(got[0]) != 60<<10 {
			t.Errorf("the business got %d texts, want 1", len(got))
		}
	})
}

func TestQuota_CustomersFileIsReported(t *testing.T) {
	volume, dir := smallVolume(t), t.TempDir()
	inBubbleWith(t, func(w *world) { w.dir, w.web = volume, newWeb() }, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		a.says(w.number, "hello")
		w.take()
		a.says(w.number, a.hands(upload, bytes.Repeat(picture(), (4<<20)/len(picture()))).Text())
		if got := w.take(); len(got) != 1 || got[0].Type != "unsupported" || got[0].Code != 131052 || !strings.Contains(got[0].Details, "share") {
			t.Errorf("the business got %+v", got)
		}
		if got := w.carrier.Refusals(); len(got) != 1 || got[0].Kind != carrier.OverQuota || got[0].ID != a.carrier.Last().ID {
			t.Errorf("the customer's client was told %+v", got)
		}
		a.says(w.number, a.hands(upload, picture()).Text())
		if got := w.take(); len(got) != 1 || got[0].Type != "image" {
			t.Errorf("of a smaller file the business got %+v", got)
		}
	})
}

func TestQuota_BusinesssFileFails(t *testing.T) {
	volume, dir := smallVolume(t), t.TempDir()
	inBubbleWith(t, func(w *world) { w.dir, w.web = volume, newWeb() }, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		a.says(w.number, "hello")
		w.take()
		const link = "https://shop.test/large.png"
		w.web.change(func() { w.web.files[link], w.web.types[link] = make([]byte, 4<<20), "image/png" })
		id, err := w.AcceptAttachment(context.Background(), message.Attachment{To: a.number, Kind: media.Image, Link: link})
		check(t, err)
		events := w.take()
		if got := statuses(events, id); !slices.Equal(got, []string{"failed"}) || w.OverQuota(message.OverQuotaOutbound) != 1 {
			t.Errorf("its statuses are %q", got)
		}
		w.noFiles()
	})
}
