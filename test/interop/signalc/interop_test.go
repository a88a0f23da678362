package signalc

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/relaykeep/relaykeep/relay/signal"
)

// end is one end of a conversation: device or cPeer.
type end interface {
	bundle() signal.Bundle
	bare() signal.Bundle
	initiate(signal.Bundle)
	seal(text string) signal.Ciphertext
	open(signal.Ciphertext) (string, error)
}

func wants(t testing.TB, e end, c signal.Ciphertext, text string) {
	t.Helper()
	if got, err := e.open(c); err != nil || got != text {
		t.Fatalf("got %q, %v, want %q", got, err, text)
	}
}

// bothWays runs a test with our side as alice and again as bob.
func bothWays(t *testing.T, test func(t *testing.T, alice, bob end)) {
	t.Run("we begin", func(t *testing.T) { test(t, newDevice(t), newCPeer(t)) })
	t.Run("they begin", func(t *testing.T) { test(t, newCPeer(t), newDevice(t)) })
}

func TestConversationThroughManyTurns(t *testing.T) {
	bothWays(t, func(t *testing.T, alice, bob end) {
		alice.initiate(bob.bundle())
		for i := range 3 {
			c := alice.seal(fmt.Sprint("early ", i))
			if !c.PreKey {
				t.Fatal("no pre-key message before the answer")
			}
			wants(t, bob, c, fmt.Sprint("early ", i))
		}
		for turn := range 50 {
			for i := range 1 + turn%3 {
				text := fmt.Sprint("bob ", turn, i)
				wants(t, alice, bob.seal(text), text)
			}
			text := fmt.Sprint("alice ", turn)
			c := alice.seal(text)
			if c.PreKey {
				t.Fatal("pre-key message after the answer")
			}
			wants(t, bob, c, text)
		}
	})
}

func TestBundleWithoutOneTimePreKey(t *testing.T) {
	bothWays(t, func(t *testing.T, alice, bob end) {
		alice.initiate(bob.bare())
		wants(t, bob, alice.seal("hello"), "hello")
		wants(t, alice, bob.seal("yes"), "yes")
	})
}

func TestMessagesOfEveryLength(t *testing.T) {
	bothWays(t, func(t *testing.T, alice, bob end) {
		alice.initiate(bob.bundle())
		wants(t, bob, alice.seal("hello"), "hello")
		for n := range 40 {
			text := string(make([]byte, n))
			wants(t, alice, bob.seal(text), text)
			wants(t, bob, alice.seal(text), text)
		}
		text := string(make([]byte, 64<<10))
		wants(t, alice, bob.seal(text), text)
		wants(t, bob, alice.seal(text), text)
	})
}

func TestShuffledMessages(t *testing.T) {
	bothWays(t, func(t *testing.T, alice, bob end) {
		alice.initiate(bob.bundle())
		wants(t, bob, alice.seal("hello"), "hello")
		wants(t, alice, bob.seal("yes"), "yes")
		r := rand.New(rand.NewPCG(3, 4))
		for range 3 {
			for _, l := range []struct{ from, to end }{{alice, bob}, {bob, alice}} {
				var sent []signal.Ciphertext
				for i := range 200 {
					sent = append(sent, l.from.seal(fmt.Sprint(i)))
				}
				for _, i := range r.Perm(len(sent)) {
					wants(t, l.to, sent[i], fmt.Sprint(i))
				}
			}
		}
	})
}

func TestMessagesOfFormerTurnsComeLate(t *testing.T) {
	bothWays(t, func(t *testing.T, alice, bob end) {
		alice.initiate(bob.bundle())
		wants(t, bob, alice.seal("hello"), "hello")
		wants(t, alice, bob.seal("yes"), "yes")
		var late []signal.Ciphertext
		for range 4 {
			late = append(late, alice.seal("late"))
			wants(t, bob, alice.seal("in time"), "in time")
			wants(t, alice, bob.seal("turn"), "turn")
		}
		for _, c := range late {
			wants(t, bob, c, "late")
		}
	})
}

type parcel struct {
	c    signal.Ciphertext
	text string
}

func TestCrossedInitiationsLoseNothing(t *testing.T) {
	runs := 60
	if testing.Short() {
		runs = 10
	}
	for run := range runs {
		t.Run(fmt.Sprint(run), func(t *testing.T) {
			storm(t, rand.New(rand.NewPCG(uint64(run), 5)), [2]end{newDevice(t), newCPeer(t)})
		})
	}
}

// storm has both ends begin sessions at once and again, while messages cross.
func storm(t *testing.T, r *rand.Rand, ends [2]end) {
	t.Helper()
	var waiting [2][]parcel // to each end
	deliver := func(to int) {
		p := waiting[to][0]
		waiting[to] = waiting[to][1:]
		wants(t, ends[to], p.c, p.text)
	}
	ends[0].initiate(ends[1].bundle())
	ends[1].initiate(ends[0].bundle())
	for step := range 40 {
		from := r.IntN(2)
		switch n := r.IntN(10); {
		case n == 0 && step < 30:
			ends[from].initiate(ends[1-from].bundle())
		case n < 6:
			text := fmt.Sprint("message ", step)
			waiting[1-from] = append(waiting[1-from], parcel{ends[from].seal(text), text})
		case len(waiting[from]) > 0:
			deliver(from)
		}
	}
	for to := range waiting {
		for len(waiting[to]) > 0 {
			deliver(to)
		}
	}
	for turn := range 4 {
		text := fmt.Sprint("calm ", turn)
		wants(t, ends[1], ends[0].seal(text), text)
		wants(t, ends[0], ends[1].seal(text), text)
	}
}

func TestPeerThatLostItsStateBeginsAnew(t *testing.T) {
	theirs, ours := newCPeer(t), newDevice(t)
	ours.initiate(theirs.bundle())
	wants(t, theirs, ours.seal("hello"), "hello")
	wants(t, ours, theirs.seal("yes"), "yes")
	ours.stored = nil
	ours.initiate(theirs.bundle())
	wants(t, theirs, ours.seal("I lost everything"), "I lost everything")
	wants(t, ours, theirs.seal("welcome back"), "welcome back")
}

func TestForgeriesAreRefusedOnBothSides(t *testing.T) {
	bothWays(t, func(t *testing.T, alice, bob end) {
		alice.initiate(bob.bundle())
		wants(t, bob, alice.seal("hello"), "hello")
		wants(t, alice, bob.seal("yes"), "yes")
		for i := range 20 {
			genuine := alice.seal("genuine")
			forged := signal.Ciphertext{Data: append([]byte(nil), genuine.Data...)}
			forged.Data[len(forged.Data)-1-i] ^= 1
			if _, err := bob.open(forged); err == nil {
				t.Fatalf("a change in byte %d from the end goes unnoticed", i+1)
			} else if _, ours := bob.(*device); ours && !errors.Is(err, signal.ErrUnauthenticated) {
				t.Errorf("%v, want ErrUnauthenticated", err)
			}
			wants(t, bob, genuine, "genuine")
		}
	})
}

func TestSignaturesVerifyAcross(t *testing.T) {
	theirs, ours := newCPeer(t), newDevice(t)
	must(t, theirs.bundle().Verify())
	must(t, theirs.tryInitiate(ours.bundle()))
	forged := ours.bundle()
	forged.Signature[0] ^= 1
	if theirs.tryInitiate(forged) == nil {
		t.Error("they take a forged signature of ours")
	}
	forged = theirs.bundle()
	forged.Signature[0] ^= 1
	if err := forged.Verify(); !errors.Is(err, signal.ErrUnauthenticated) {
		t.Errorf("we say %v of a forged signature of theirs", err)
	}
}

// TestMessagesAreLaidOutAlike compares the two sides' messages byte by byte where
// they do not depend on random keys: version, order of fields, tags, lengths, ids
// and counters.
func TestMessagesAreLaidOutAlike(t *testing.T) {
	conversation := func(alice, bob end) (all []signal.Ciphertext) {
		alice.initiate(bob.bundle())
		first, second := alice.seal("first"), alice.seal("second")
		wants(t, bob, second, "second")
		wants(t, bob, first, "first")
		reply := bob.seal("a reply that is longer than one block")
		wants(t, alice, reply, "a reply that is longer than one block")
		return append(all, first, second, reply, alice.seal("third"))
	}
	ours := conversation(newDevice(t), newCPeer(t))
	theirs := conversation(newCPeer(t), newDevice(t))
	for i := range ours {
		if a, b := layout(t, ours[i]), layout(t, theirs[i]); a != b {
			t.Errorf("message %d:\nours   %s\ntheirs %s", i, a, b)
		}
	}
}

// layout describes a message without what is random in it.
func layout(t *testing.T, c signal.Ciphertext) string {
	t.Helper()
	const innerField = 4
	b := c.Data[1:]
	if !c.PreKey {
		b = b[:len(b)-8]
	}
	s := fmt.Sprintf("prekey=%t version=%02x", c.PreKey, c.Data[0])
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		b = b[max(n, 0):]
		switch kind {
		case protowire.VarintType:
			v, n := protowire.ConsumeVarint(b)
			s += fmt.Sprintf(" %d:%d", field, v)
			b = b[max(n, 0):]
		case protowire.BytesType:
			v, n := protowire.ConsumeBytes(b)
			s += fmt.Sprintf(" %d:%d bytes", field, len(v))
			if c.PreKey && field == innerField {
				s += "{" + layout(t, signal.Ciphertext{Data: v}) + "}"
			}
			b = b[max(n, 0):]
		default:
			t.Fatalf("field %d of kind %d", field, kind)
		}
	}
	return s
}
