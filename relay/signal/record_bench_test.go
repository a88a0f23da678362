package signal

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// BenchmarkRecord reads and writes a stored record. No cryptography is in it: the
// least that it takes is to copy its bytes.
func BenchmarkRecord(b *testing.B) {
	for _, skipped := range []int{0, MaxSkipped} {
		alice, bob := newDevice(b), newDevice(b)
		skipping(b, alice, bob, skipped)
		record := bob.record()
		library, from := newLibDevice(b), newLibDevice(b)
		skipping(b, from, library, skipped)
		theirs, err := library.LoadSession(context.Background(), peerAddress)
		must(b, err)
		impls := map[string]func(){
			"read/relaykeep": func() {
				_, err := ParseRecord(bob.stored)
				must(b, err)
			},
			"read/library": func() {
				_, err := library.LoadSession(context.Background(), peerAddress)
				must(b, err)
			},
			"read/primitives": func() { bytes.Clone(bob.stored) },
			"write/relaykeep": func() {
				_, err := record.MarshalBinary()
				must(b, err)
			},
			"write/library":    func() { theirs.Serialize() },
			"write/primitives": func() { bytes.Clone(bob.stored) },
		}
		for _, name := range slices.Sorted(maps.Keys(impls)) {
			what, impl, _ := strings.Cut(name, "/")
			b.Run(fmt.Sprintf("%s/skipped=%d/impl=%s", what, skipped, impl), func(b *testing.B) {
				b.ReportAllocs()
				defer (&cpuClock{b: b}).start()()
				for b.Loop() {
					impls[name]()
				}
			})
		}
	}
}

// BenchmarkMemory is what one session takes that waits for a thousand messages:
// on the heap (B/session), and stored (B/record).
func BenchmarkMemory(b *testing.B) {
	alice, bob := newDevice(b), newDevice(b)
	skipping(b, alice, bob, MaxSkipped)
	library, from := newLibDevice(b), newLibDevice(b)
	skipping(b, from, library, MaxSkipped)
	report := func(b *testing.B, stored []byte, read func() any) {
		var held [64]any
		for b.Loop() {
			held = [len(held)]any{}
			before := heap()
			for i := range held {
				held[i] = read()
			}
			b.ReportMetric(float64(heap()-before)/float64(len(held)), "B/session")
		}
		runtime.KeepAlive(&held)
		b.ReportMetric(float64(len(stored)), "B/record")
	}
	b.Run("skipped=1000/impl=relaykeep", func(b *testing.B) {
		report(b, bob.stored, func() any { return bob.record() })
	})
	b.Run("skipped=1000/impl=library", func(b *testing.B) {
		report(b, library.stored, func() any {
			r, err := library.LoadSession(context.Background(), peerAddress)
			must(b, err)
			return r
		})
	})
}

// heap is how many bytes are in use on the heap.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// skipping begins a session in which bob waits for n messages of one chain.
func skipping(t testing.TB, alice, bob end, n int) {
	alice.initiate(bob.bundle())
	wants(t, bob, alice.seal("hello"), "hello")
	wants(t, alice, bob.seal("hello yourself"), "hello yourself")
	for range n {
		alice.seal("held back")
	}
	wants(t, bob, alice.seal("ahead"), "ahead")
}

// withSkipped returns a device that waits for n messages of one chain.
func withSkipped(t testing.TB, n int) *device {
	t.Helper()
	alice, bob := newDevice(t), newDevice(t)
	skipping(t, alice, bob, n)
	return bob
}
