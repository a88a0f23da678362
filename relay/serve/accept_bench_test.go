package serve

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/cloudapi"
	"github.com/relaykeep/relaykeep/relay/ledger"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/proof"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/seal/sealtest"
	"github.com/relaykeep/relaykeep/relay/store"
)

// processorTime is what this process has used.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkAcceptText is a text from the request to the answer, which says that it is stored, of one client. To compare two builds,
// compile the test of each and run them in turn. What the log costs is measured by BenchmarkRouteLog in relay/message.
func BenchmarkAcceptText(b *testing.B) {
	s, err := store.Open(b.Context(), b.TempDir(), [16]byte{1}, seal.New(sealtest.New(), 24*time.Hour, time.Now))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	n, err := phone.Parse("+15550783881")
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	l := ledger.New(ledger.Options{Store: s, Origin: proof.Origin("106540352242922"), Now: time.Now})
	note := func(_ context.Context, who string, kind proof.Kind, result string) { l.Count(who, kind, result) }
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			b.Error(err)
		}
	}()
	api := cloudapi.New(cloudapi.Options{
		Service: service{Service: message.New(message.Options{Store: s, Retention: 30 * 24 * time.Hour})},
		Note:    note, Token: "token", Throughput: 1000, Number: cloudapi.Number{ID: "106540352242922", Phone: n},
		Now: func() time.Time { now = now.Add(10 * time.Second); return now }, // no rate limit is reached
	})
	body := `{"messaging_product":"whatsapp","to":"+16505551234","type":"text","text":{"body":"` + strings.Repeat("Hello you. ", 20) + `"}}`
	b.ReportAllocs()
	start := processorTime(b)
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, "/v23.0/106540352242922/messages", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer token")
		w := httptest.NewRecorder()
		if api.ServeHTTP(w, r); w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
	}
	b.ReportMetric(float64(processorTime(b)-start)/float64(b.N), "cpu-ns/op")
}
