package message_test

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/relaykeep/relaykeep/relay/phone"
)

// What the route's benchmark sends: to and from how many customers, and texts of which length.
const (
	routeCustomers = 128
	routeText      = "Your order is on its way. You can answer here if something is not as it should be, and we will look into it."
)

// BenchmarkRoute is the way of messages through a relay, all durable: out from the endpoint's handler
// through the store and the ratchets to a carrier in memory, and to the webhook that says "sent", over
// HTTPS; in from the carrier to the webhook with the text; and half of each. An operation is one message.
// Clients are requests at once, or in the other direction messages that arrive together. TLS of
// the endpoint and the carrier's own protocol are not part of it.
//
// This file and route_relay_test.go are also compiled into the build that test/bench compares with.
func BenchmarkRoute(b *testing.B) {
	for _, way := range []string{"out", "in", "both"} {
		for _, clients := range []int{1, 16, 128} {
			b.Run(fmt.Sprintf("way=%s/clients=%d", way, clients), func(b *testing.B) {
				benchmarkRoute(b, newRoute, way, clients)
			})
		}
	}
}

func benchmarkRoute(b *testing.B, open func(*testing.B, *httptest.Server) *route, way string, clients int) {
	out, in := b.N, 0
	switch way {
	case "in":
		out, in = 0, b.N
	case "both":
		out, in = b.N-b.N/2, b.N/2
	}
	got := &receiver{}
	goRoute(b, openRoute(b, open, got), got, out, in, clients, rate.Inf)
}

// openRoute opens a relay to which every customer has written once, so that there is a session.
func openRoute(b *testing.B, open func(*testing.B, *httptest.Server) *route, got *receiver) *route {
	r := open(b, newReceiver(b, got))
	for i := range routeCustomers {
		r.seal(b, i, 1)
	}
	r.deliver(b, routeCustomers)
	got.await(b, &got.texts, routeCustomers)
	r.settle(b)
	return r
}

// goRoute has the business and customers write so many messages, the business at most limit a second, and returns how
// many a second were told.
func goRoute(b *testing.B, r *route, got *receiver, out, in, clients int, limit rate.Limit) (told float64) {
	for i := range in {
		r.seal(b, i%routeCustomers, 1)
	}
	texts, statuses := got.texts.Load(), got.statuses.Load()

	b.ResetTimer()
	begun, processor := time.Now(), processorTime(b)
	var ways sync.WaitGroup
	ways.Go(func() { r.deliver(b, clients) })
	took := sendAll(b, r.api, out, clients, limit)
	accepted := time.Since(begun)
	if b.Failed() {
		return 0
	}
	ways.Wait()
	got.await(b, &got.statuses, statuses+int64(out))
	got.await(b, &got.texts, texts+int64(in))
	told = float64(b.N) / time.Since(begun).Seconds()
	b.StopTimer()

	b.ReportMetric(float64(processorTime(b)-processor)/float64(b.N), "cpu-ns/op")
	b.ReportMetric(told, "told/s")
	if out > 0 {
		slices.Sort(took)
		b.ReportMetric(float64(out)/accepted.Seconds(), "accepted/s")
		b.ReportMetric(float64(took[len(took)*99/100]), "p99-ns/op")
	}
	return told
}

// sendAll sends so many texts from clients at once, at most limit a second, and returns how long each took.
func sendAll(b *testing.B, api http.Handler, n, clients int, limit rate.Limit) (took []time.Duration) {
	took = make([]time.Duration, n)
	pace := rate.NewLimiter(limit, 1)
	var callers sync.WaitGroup
	var next atomic.Int64
	for range clients {
		callers.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := pace.Wait(b.Context()); err != nil {
					b.Error(err)
					return
				}
				start := time.Now()
				send(b, api, i)
				took[i] = time.Since(start)
			}
		})
	}
	callers.Wait()
	return took
}

// newReceiver starts the business's end of the webhooks.
func newReceiver(b *testing.B, got *receiver) *httptest.Server {
	server := httptest.NewUnstartedServer(got)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.EnableHTTP2 = false
	server.StartTLS()
	b.Cleanup(server.Close)
	return server
}

// send sends a text as a business would.
func send(b *testing.B, api http.Handler, i int) {
	body := fmt.Sprintf(`{"messaging_product":"whatsapp","to":%q,"type":"text","text":{"body":%q}}`, routeNumber(i), routeText)
	req := httptest.NewRequest(http.MethodPost, "/v23.0/106540352242922/messages", strings.NewReader(body))
	req.Header.Set("Authorization", "Bearer token")
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	if api.ServeHTTP(w, req); w.Code != http.StatusOK {
		b.Errorf("the endpoint answers %d: %s", w.Code, w.Body)
	}
}

// routeNumber is the number of a customer.
func routeNumber(i int) string { return fmt.Sprintf("+1555%07d", i%routeCustomers) }

func routePhone(b *testing.B, i int) phone.Number { return number(b, routeNumber(i)) }

// receiver is the business's end of the webhooks. It reads as little of them as it can.
type receiver struct{ statuses, texts atomic.Int64 }

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method == http.MethodGet {
		_, _ = io.WriteString(w, req.URL.Query().Get("hub.challenge"))
		return
	}
	body, _ := io.ReadAll(req.Body)
	r.statuses.Add(int64(bytes.Count(body, []byte(`"status":"sent"`))))
	r.texts.Add(int64(bytes.Count(body, []byte(`"type":"text"`))))
}

// await waits until a counter has reached a value.
func (r *receiver) await(b *testing.B, n *atomic.Int64, want int64) {
	b.Helper()
	tick, late := time.NewTicker(time.Millisecond), time.After(2*time.Minute)
	defer tick.Stop()
	for n.Load() < want {
		select {
		case <-tick.C:
		case <-late:
			b.Fatalf("%d of %d webhooks came", n.Load(), want)
		}
	}
}

// processorTime is what this process has used.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
