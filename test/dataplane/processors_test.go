package dataplane_test

import (
	"database/sql"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/test/await"
)

// copies is how many copies wait for a processor, by the store of a relay that is stopped.
func (b *business) copies(processor string) (n int) {
	b.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.Volume(), "relay.db")+"?mode=ro")
	check(b.t, err)
	defer db.Close()
	check(b.t, db.QueryRowContext(b.t.Context(), `SELECT count(*) FROM jobs WHERE queue = ?`, "processor/"+processor).Scan(&n))
	return n
}

// TestProcessors_GetCopiesOfTheirOwn has one processor that takes copies and one that does not answer.
func TestProcessors_GetCopiesOfTheirOwn(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	insight, away := b.AddProcessor("insight"), b.AddProcessor("away")
	away.Hang(func([]byte) bool { return true })
	b.StartReady()
	b.KnowsProcessor("insight", insight)
	b.KnowsProcessor("away", away)
	p := newPerson(t)
	p.Says(b, "hello there")
	b.WaitText("hello there") // whoever hangs delays nobody
	insight.WaitText("hello there")
	b.WaitStatus(b.Say(p.Number.E164(), "good day"), "read")
	await.Until(t, "the statuses are copied", func() bool { return len(insight.Bodies()) == len(b.Bodies()) })
	if b.Unsigned()+insight.Unsigned() > 0 || len(away.Bodies()) > 0 {
		t.Errorf("%d webhooks and %d copies were not signed for their receiver", b.Unsigned(), insight.Unsigned())
	}
	code, text := b.Get("/metrics")
	for _, want := range []string{`relaykeep_processor_attempts_total{outcome="taken"}`, `relaykeep_queue_jobs{queue="processors"}`} {
		if code != http.StatusOK || !strings.Contains(string(text), want) {
			t.Errorf("/metrics has no %s", want)
		}
	}
	await.Until(t, "the relay says how the processors are", func() bool {
		_, text := b.Get("/status")
		return strings.Contains(string(text), `{"name":"insight","verified":true,"reason":"Verified"}`)
	})

	// What waits for a processor goes with the person, and with the processor.
	code2, answer := b.Request(http.MethodDelete, "/customers/"+p.Number.Digits(), b.Known().AccessToken, nil)
	if code2 != http.StatusOK {
		t.Fatalf("erasing: %d %s", code2, answer)
	}
	b.Stop()
	if n := b.copies("away"); n > 0 {
		t.Errorf("%d copies about an erased person wait", n)
	}
	other := newPerson(t)
	b.StartReady()
	other.Says(b, "who else")
	b.WaitText("who else")
	b.Stop()
	if n := b.copies("away"); n == 0 {
		t.Error("no copy waits for the processor that is away")
	}
	b.Config.Processors = b.Config.Processors[:1]
	b.StartReady()
	b.Stop()
	if n := b.copies("away"); n > 0 {
		t.Errorf("%d copies wait for a processor that is none any more", n)
	}
}
