package webhook_test

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// workAtOnce has each of a queue's workers deliver one update, and returns what became of them.
func workAtOnce(t *testing.T, f *fixture) []queue.Result {
	t.Helper()
	results := make([]queue.Result, webhook.Workers(1))
	var workers sync.WaitGroup
	for i := range results {
		workers.Go(func() { results[i] = f.work(t.Context(), job(int64(i))) })
	}
	workers.Wait()
	return results
}

func TestTurn_EndsWithTheReceiversAnswer(t *testing.T) {
	r := newReceiver(t)
	f := deliver(t, r.as())
	var posts, now, most atomic.Int64
	all := make(chan struct{})
	f.finishing = func() { <-all } // nothing is written before all were sent
	r.behave(echo, func(w http.ResponseWriter, req *http.Request) {
		for n := now.Add(1); n > most.Load(); n = now.Load() {
			most.Store(n)
		}
		defer now.Add(-1)
		if posts.Add(1) == int64(webhook.Workers(1)) {
			close(all)
		}
		ok(w, req)
	})
	f.start(t).reason(t, contract.True, webhook.ReasonVerified)
	for _, res := range workAtOnce(t, f) {
		if !res.Done {
			t.Errorf("a webhook was not delivered: %+v", res)
		}
	}
	if most.Load() > 16 {
		t.Errorf("%d requests were in flight at once", most.Load())
	}
}
