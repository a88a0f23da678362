package signal

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/cloudflare/circl/dh/x25519"
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
		bob.wants(alice.seal("anew"), "anew")
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

// primitives runs the protocol's cryptography alone.
type primitives struct {
	scalar, point, shared x25519.Key
	key                   [32]byte
	iv                    [16]byte
	body                  []byte
	hashed                []byte // a pad block and up to a whole message
}

func newPrimitives(size int) *primitives {
	p := &primitives{scalar: x25519.Key{1, 2, 3}, point: x25519.Key{9}}
	p.body = make([]byte, sealedSize(size))
	p.hashed = make([]byte, sha256.BlockSize+2*PublicKeySize+50+len(p.body))
	return p
}

// hmacs computes n HMACs of size bytes: a pad block and the message, a pad block
// and a digest.
func (p *primitives) hmacs(n, size int) {
	for range n {
		sha256.Sum256(p.hashed[:sha256.BlockSize+size])
		sha256.Sum256(p.hashed[:sha256.BlockSize+sha256.Size])
	}
}

// message is what one message of a chain takes: the chain's two HMACs, the key
// derivation's four, the code, and the cipher.
func (p *primitives) message(encrypt bool) {
	p.hmacs(2, 1)
	p.hmacs(1, 32)
	p.hmacs(1, len(infoMessage)+1)
	p.hmacs(2, 32+len(infoMessage)+1)
	p.hmacs(1, len(p.hashed)-sha256.BlockSize)
	block, err := aes.NewCipher(p.key[:])
	if err != nil {
		panic(err)
	}
	mode := cipher.NewCBCDecrypter(block, p.iv[:])
	if encrypt {
		mode = cipher.NewCBCEncrypter(block, p.iv[:])
	}
	mode.CryptBlocks(p.body, p.body)
}

func (p *primitives) keyPair() { x25519.KeyGen(&p.shared, &p.scalar) }

func (p *primitives) agreements(n int) {
	for range n {
		x25519.Shared(&p.shared, &p.scalar, &p.shared)
	}
}

func (p *primitives) derive(info string) {
	if _, err := hkdf.Key(sha256.New, p.shared[:], p.key[:], info, 64); err != nil {
		panic(err)
	}
}

// ratchetStep begins a sending chain, receivedStep a receiving one.
func (p *primitives) ratchetStep() {
	p.keyPair()
	p.receivedStep()
}

func (p *primitives) receivedStep() {
	p.agreements(1)
	p.derive(infoRatchet)
}
