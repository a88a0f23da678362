package message_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"runtime"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/relaykeep/relaykeep/relay/ledger"
	"github.com/relaykeep/relaykeep/relay/proof"
)

// logSlice is how many texts one of two relays sends until it is the other's turn.
const logSlice = 500

// BenchmarkRouteLog is what a relay's log costs: the way out of BenchmarkRoute, with 128 clients, through two relays of which one
// keeps a log. They take turns, and the order of each turn is the reverse of the one before, so that what else the machine does
// meets both alike. It reports the time and the processor time of a text with the log and without it.
//
// The log runs in the slices of its relay alone, and stores and enters at the end of each what was counted in it, so that all that
// it does is counted, and some of it more often than in operation, where it does so every five seconds.
func BenchmarkRouteLog(b *testing.B) {
	b.Run("clients=128", func(b *testing.B) {
		var with, without logged
		with.open(b, newLedger(b))
		without.open(b, nil)
		turn := []*logged{&with, &without}
		for _, l := range turn { // what is done once is done
			l.send(b, logSlice, 128)
			l.took, l.processor = 0, 0
		}
		b.ResetTimer()
		for left := b.N; left > 0; left -= logSlice {
			for _, l := range turn {
				l.send(b, min(left, logSlice), 128)
			}
			turn[0], turn[1] = turn[1], turn[0]
		}
		b.StopTimer()
		b.ReportMetric(0, "ns/op") // of both
		with.report(b, "log")
		without.report(b, "nolog")
	})
}

// logged is a relay that may keep a log, and what texts have cost it.
type logged struct {
	*route
	got             *receiver
	log             *ledger.Ledger
	took, processor time.Duration
}

func (l *logged) open(b *testing.B, log *ledger.Ledger) {
	l.got, l.log = &receiver{}, log
	l.route = openRoute(b, routeKind{log: log}.open, l.got)
}

// send sends texts until the business knows that all were sent.
func (l *logged) send(b *testing.B, n, clients int) {
	runtime.GC() // each slice begins with nobody's garbage
	begun, processor := time.Now(), processorTime(b)
	end := l.keep(b)
	statuses := l.got.statuses.Load()
	sendAll(b, l.api, n, clients, rate.Inf)
	if !b.Failed() {
		l.got.await(b, &l.got.statuses, statuses+int64(n))
	}
	end()
	l.took += time.Since(begun)
	l.processor += processorTime(b) - processor
}

// keep has the log run until end, which stores what was counted.
func (l *logged) keep(b *testing.B) (end func()) {
	if l.log == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.log.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			b.Error(err)
		}
		check(b, l.log.Flush(b.Context()))
	}
}

func (l *logged) report(b *testing.B, name string) {
	b.ReportMetric(float64(l.took.Nanoseconds())/float64(b.N), name+"-ns/op")
	b.ReportMetric(float64(l.processor.Nanoseconds())/float64(b.N), name+"-cpu-ns/op")
}

// newLedger makes a log that is signed.
func newLedger(b *testing.B) *ledger.Ledger {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	check(b, err)
	return ledger.New(ledger.Options{Origin: proof.Origin("106540352242922"), Signer: logSigner{key}, Now: time.Now})
}

// logSigner signs as Vault does, at once.
type logSigner struct{ ed25519.PrivateKey }

func (s logSigner) LogKey(context.Context) (ed25519.PublicKey, error) {
	public, _ := s.Public().(ed25519.PublicKey)
	return public, nil
}

func (s logSigner) SignLog(_ context.Context, text []byte) ([]byte, error) {
	return ed25519.Sign(s.PrivateKey, text), nil
}
