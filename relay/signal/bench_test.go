package signal

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"go.mau.fi/libsignal/protocol"
)

// Each operation is measured three times under one name, for benchstat to set
// beside each other (benchstat -col /impl):
//
//	impl=relaykeep   this package, the stored record read before and written after
//	impl=library     the same work by go.mau.fi/libsignal as shipped, its record too
//	impl=primitives  the least that the protocol asks for: its hashes, ciphers and
//	                 multiplications alone, on prepared memory
//
// impl=memory is this package with the record kept in memory, as a relay's cache
// keeps it, and impl=library-memory the library's likewise.

var sizes = []int{100, 64 << 10}

func BenchmarkEncrypt(b *testing.B) {
	for _, size := range sizes {
		text := make([]byte, size)
		b.Run(fmt.Sprintf("size=%d/impl=relaykeep", size), func(b *testing.B) {
			alice, _ := pair(b)
			alice.seal("begin the chain")
			b.ReportAllocs()
			defer (&cpuClock{b: b}).start()()
			for b.Loop() {
				_, r, err := Encrypt(alice.record(), alice.local, text)
				must(b, err)
				alice.store(r)
			}
		})
		b.Run(fmt.Sprintf("size=%d/impl=memory", size), func(b *testing.B) {
			alice, _ := pair(b)
			_, r, err := Encrypt(alice.record(), alice.local, text)
			must(b, err)
			b.ReportAllocs()
			defer (&cpuClock{b: b}).start()()
			for b.Loop() {
				_, r, err = Encrypt(r, alice.local, text)
				must(b, err)
			}
		})
		for _, live := range []bool{false, true} {
			b.Run(fmt.Sprintf("size=%d/impl=%s", size, libraryName(live)), func(b *testing.B) {
				alice, _ := libPair(b, live)
				b.ReportAllocs()
				defer (&cpuClock{b: b}).start()()
				for b.Loop() {
					_, err := alice.cipher().Encrypt(context.Background(), text)
					must(b, err)
				}
			})
		}
		b.Run(fmt.Sprintf("size=%d/impl=primitives", size), func(b *testing.B) {
			p := newPrimitives(size)
			defer (&cpuClock{b: b}).start()()
			for b.Loop() {
				p.message(true)
			}
		})
	}
}

func libraryName(live bool) string {
	if live {
		return "library-memory"
	}
	return "library"
}

func BenchmarkDecrypt(b *testing.B) {
	for _, size := range sizes {
		text := string(make([]byte, size))
		b.Run(fmt.Sprintf("size=%d/impl=relaykeep", size), func(b *testing.B) {
			alice, bob := pair(b)
			bob.wants(alice.seal("begin the chain"), "begin the chain")
			clock := &cpuClock{b: b}
			next := sealer(clock, alice, text)
			b.ReportAllocs()
			defer clock.start()()
			for b.Loop() {
				_, err := bob.open(next())
				must(b, err)
			}
		})
		b.Run(fmt.Sprintf("size=%d/impl=memory", size), func(b *testing.B) {
			alice, bob := pair(b)
			bob.wants(alice.seal("begin the chain"), "begin the chain")
			r := bob.record()
			clock := &cpuClock{b: b}
			next := sealer(clock, alice, text)
			b.ReportAllocs()
			defer clock.start()()
			for b.Loop() {
				got, err := Decrypt(bob.local, r, bob, next(), bob.now)
				must(b, err)
				r = got.Record
			}
		})
		for _, live := range []bool{false, true} {
			b.Run(fmt.Sprintf("size=%d/impl=%s", size, libraryName(live)), func(b *testing.B) {
				alice, bob := libPair(b, live)
				clock := &cpuClock{b: b}
				next := sealer(clock, alice, text)
				b.ReportAllocs()
				defer clock.start()()
				for b.Loop() {
					m, err := protocol.NewSignalMessageFromBytes(next().Data, bob.serializer.SignalMessage)
					must(b, err)
					_, err = bob.cipher().Decrypt(context.Background(), m)
					must(b, err)
				}
			})
		}
		b.Run(fmt.Sprintf("size=%d/impl=primitives", size), func(b *testing.B) {
			p := newPrimitives(size)
			defer (&cpuClock{b: b}).start()()
			for b.Loop() {
				p.message(false)
			}
		})
	}
}

// sealer returns messages of one chain, made in batches while the clocks stand.
func sealer(clock *cpuClock, from end, text string) func() Ciphertext {
	var ready []Ciphertext
	return func() Ciphertext {
		if len(ready) == 0 {
			clock.pause(func() {
				for range max(64, 2000-len(text)) {
					ready = append(ready, from.seal(text))
				}
				runtime.GC() // of what sealing left behind
			})
		}
		c := ready[0]
		ready = ready[1:]
		return c
	}
}

// BenchmarkRoundTrip is a message and its answer: a ratchet step at either end.
func BenchmarkRoundTrip(b *testing.B) {
	trip := func(b *testing.B, alice, bob end) {
		b.ReportAllocs()
		defer (&cpuClock{b: b}).start()()
		for b.Loop() {
			_, err := bob.open(alice.seal("a question of usual length, more or less"))
			must(b, err)
			_, err = alice.open(bob.seal("an answer of usual length, more or less"))
			must(b, err)
		}
	}
	b.Run("impl=relaykeep", func(b *testing.B) {
		alice, bob := pair(b)
		trip(b, alice, bob)
	})
	for _, live := range []bool{false, true} {
		b.Run("impl="+libraryName(live), func(b *testing.B) {
			alice, bob := libPair(b, live)
			trip(b, alice, bob)
		})
	}
	b.Run("impl=primitives", func(b *testing.B) {
		p := newPrimitives(48)
		defer (&cpuClock{b: b}).start()()
		for b.Loop() {
			for range 2 {
				p.ratchetStep()
				p.message(true)
				p.receivedStep()
				p.message(false)
			}
		}
	})
}

// BenchmarkInitiate is X3DH from a bundle, with the first message.
func BenchmarkInitiate(b *testing.B) {
	b.Run("impl=relaykeep", func(b *testing.B) {
		alice, bob := newDevice(b), newDevice(b)
		bundle := bob.bundle()
		b.ReportAllocs()
		defer (&cpuClock{b: b}).start()()
		for b.Loop() {
			alice.stored = nil
			alice.initiate(bundle)
			alice.seal("first")
		}
	})
	b.Run("impl=library", func(b *testing.B) {
		alice, bob := newLibDevice(b), newDevice(b)
		bundle := bob.bundle()
		b.ReportAllocs()
		defer (&cpuClock{b: b}).start()()
		for b.Loop() {
			alice.session, alice.stored = nil, nil
			alice.initiate(bundle)
			alice.seal("first")
		}
	})
	b.Run("impl=primitives", func(b *testing.B) {
		p := newPrimitives(16)
		bundle := newDevice(b).bundle()
		defer (&cpuClock{b: b}).start()()
		for b.Loop() {
			must(b, bundle.Verify())
			p.keyPair()
			p.agreements(4)
			p.derive(infoSession)
			p.ratchetStep()
			p.message(true)
		}
	})
}

// BenchmarkRespond is X3DH from a pre-key message, with the answer.
func BenchmarkRespond(b *testing.B) {
	b.Run("impl=relaykeep", func(b *testing.B) {
		alice, bob := newDevice(b), newDevice(b)
		alice.initiate(bob.bundle())
		c := alice.seal("first")
		b.ReportAllocs()
		defer (&cpuClock{b: b}).start()()
		for b.Loop() {
			got, err := Decrypt(bob.local, nil, bob, c, bob.now)
			must(b, err)
			_, r, err := Encrypt(got.Record, bob.local, []byte("answer"))
			must(b, err)
			bob.store(r)
		}
	})
	b.Run("impl=library", func(b *testing.B) {
		alice, bob := newLibDevice(b), newLibDevice(b)
		alice.initiate(bob.bundle())
		c := alice.seal("first")
		oneTime := bob.pre[1]
		b.ReportAllocs()
		defer (&cpuClock{b: b}).start()()
		for b.Loop() {
			bob.session, bob.stored, bob.pre[1] = nil, nil, oneTime
			_, err := bob.open(c)
			must(b, err)
			bob.seal("answer")
		}
	})
	b.Run("impl=primitives", func(b *testing.B) {
		p := newPrimitives(16)
		defer (&cpuClock{b: b}).start()()
		for b.Loop() {
			p.agreements(4)
			p.derive(infoSession)
			p.receivedStep()
			p.message(false)
			p.ratchetStep()
			p.message(true)
		}
	})
}

// BenchmarkJump is one message that skips the thousand before it.
func BenchmarkJump(b *testing.B) {
	steps := func(alice, bob end) Ciphertext {
		for range MaxSkip {
			alice.seal("held back")
		}
		return alice.seal("ahead")
	}
	b.Run("impl=relaykeep", func(b *testing.B) {
		alice, bob := pair(b)
		c := steps(alice, bob)
		before := bob.stored
		defer (&cpuClock{b: b}).start()()
		for b.Loop() {
			bob.stored = before
			_, err := bob.open(c)
			must(b, err)
		}
	})
	b.Run("impl=library", func(b *testing.B) {
		alice, bob := libPair(b, false)
		c := steps(alice, bob)
		before := bob.stored
		defer (&cpuClock{b: b}).start()()
		for b.Loop() {
			bob.stored = before
			_, err := bob.open(c)
			must(b, err)
		}
	})
	b.Run("impl=primitives", func(b *testing.B) {
		p := newPrimitives(16)
		defer (&cpuClock{b: b}).start()()
		for b.Loop() {
			p.hmacs(2*MaxSkip, 1)
			p.receivedStep()
			p.message(false)
		}
	})
}

// BenchmarkForged is what a message costs that anybody can send: one that no
// session verifies, against a record full of archived sessions.
func BenchmarkForged(b *testing.B) {
	alice, bob := pair(b)
	for range MaxArchived {
		alice.initiate(bob.bundle())
		bob.wants(alice.seal("again"), "again")
		alice.wants(bob.seal("yes"), "yes")
	}
	c := flipped(alice.seal("x"), 10)
	r := bob.record()
	b.Run("impl=memory", func(b *testing.B) {
		defer (&cpuClock{b: b}).start()()
		for b.Loop() {
			if _, err := Decrypt(bob.local, r, bob, c, bob.now); err == nil {
				b.Fatal("decrypts")
			}
		}
	})
}
