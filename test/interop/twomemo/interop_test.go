package twomemo

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/relaykeep/relaykeep/relay/signal"
)

// update writes what the peer sends to relay/signal, whose own tests read it without Python.
var update = flag.Bool("update", false, "rewrite relay/signal/testdata/twomemo.json")

// end is one end of a conversation: device or peer.
type end interface {
	bundle() signal.Bundle
	initiate(b signal.Bundle)
	seal(text string) signal.Ciphertext
	open(c signal.Ciphertext) (string, error)
}

func wants(t testing.TB, e end, c signal.Ciphertext, text string) {
	t.Helper()
	if got, err := e.open(c); err != nil || got != text {
		t.Fatalf("got %q, %v, want %q", got, err, text)
	}
}

// bothWays runs a test with our side as alice and again as bob.
func bothWays(t *testing.T, test func(t *testing.T, alice, bob end)) {
	t.Run("we begin", func(t *testing.T) { test(t, newDevice(t), newPeer(t)) })
	t.Run("they begin", func(t *testing.T) { test(t, newPeer(t), newDevice(t)) })
}

func TestConversationThroughManyTurns(t *testing.T) {
	bothWays(t, func(t *testing.T, alice, bob end) {
		alice.initiate(bob.bundle())
		for i := range 3 { // the key exchange is repeated until the answer
			c := alice.seal(fmt.Sprint("early ", i))
			if !c.PreKey {
				t.Fatal("no key exchange before the answer")
			}
			wants(t, bob, c, fmt.Sprint("early ", i))
		}
		for turn := range 10 {
			for i := range 1 + turn%3 {
				text := fmt.Sprint("bob ", turn, i)
				wants(t, alice, bob.seal(text), text)
			}
			text := fmt.Sprint("alice ", turn)
			c := alice.seal(text)
			if c.PreKey {
				t.Fatal("a key exchange after the answer")
			}
			wants(t, bob, c, text)
		}
	})
}

func TestShuffledMessages(t *testing.T) {
	bothWays(t, func(t *testing.T, alice, bob end) {
		alice.initiate(bob.bundle())
		wants(t, bob, alice.seal("hello"), "hello")
		wants(t, alice, bob.seal("yes"), "yes")
		r := rand.New(rand.NewPCG(3, 4))
		for range 2 {
			for _, l := range []struct{ from, to end }{{alice, bob}, {bob, alice}} {
				var sent []signal.Ciphertext
				for i := range 50 {
					sent = append(sent, l.from.seal(fmt.Sprint(i)))
				}
				for _, i := range r.Perm(len(sent)) {
					wants(t, l.to, sent[i], fmt.Sprint(i))
				}
			}
		}
	})
}

// The number of messages in the chain before tells a reader which keys to keep. Were it one too low, as
// libsignal has it, the last message of each chain would be lost when it comes late.
func TestMessagesOfFormerTurnsComeLate(t *testing.T) {
	bothWays(t, func(t *testing.T, alice, bob end) {
		alice.initiate(bob.bundle())
		wants(t, bob, alice.seal("hello"), "hello")
		wants(t, alice, bob.seal("yes"), "yes")
		var late []signal.Ciphertext
		for range 2 {
			wants(t, bob, alice.seal("in time"), "in time")
			late = append(late, alice.seal("late"))
			wants(t, alice, bob.seal("turn"), "turn")
			wants(t, bob, alice.seal("next"), "next")
			wants(t, alice, bob.seal("turn"), "turn")
		}
		for _, c := range late {
			wants(t, bob, c, "late")
		}
	})
}

func TestEarlyMessagesComeShuffled(t *testing.T) {
	bothWays(t, func(t *testing.T, alice, bob end) {
		alice.initiate(bob.bundle())
		var sent []signal.Ciphertext
		for i := range 5 {
			sent = append(sent, alice.seal(fmt.Sprint(i)))
		}
		for _, i := range []int{3, 0, 4, 2, 1} {
			wants(t, bob, sent[i], fmt.Sprint(i))
		}
		wants(t, alice, bob.seal("all"), "all")
	})
}

func TestASecondSessionReplacesTheFirst(t *testing.T) {
	bothWays(t, func(t *testing.T, alice, bob end) {
		for range 3 {
			alice.initiate(bob.bundle())
			wants(t, bob, alice.seal("hello"), "hello")
			wants(t, alice, bob.seal("yes"), "yes")
			wants(t, bob, alice.seal("well"), "well")
		}
	})
}

func TestDamagedMessagesAreRefused(t *testing.T) {
	bothWays(t, func(t *testing.T, alice, bob end) {
		alice.initiate(bob.bundle())
		wants(t, bob, alice.seal("hello"), "hello")
		c := alice.seal("genuine")
		for _, i := range []int{4, 40, len(c.Data) - 1} {
			damaged := signal.Ciphertext{Format: c.Format, PreKey: c.PreKey, Data: append([]byte(nil), c.Data...)}
			damaged.Data[i] ^= 1
			if text, err := bob.open(damaged); err == nil && text != "genuine" {
				t.Errorf("byte %d: read %q", i, text)
			}
		}
	})
}

// TestWriteVectors has the peer write to a device of ours whose keys are kept with what it wrote.
func TestWriteVectors(t *testing.T) {
	if !*update {
		t.Skip("only with -update")
	}
	type message struct {
		Begins     bool
		Data, Text []byte
	}
	var v struct {
		Identity, SignedPreKey, PreKey []byte
		Messages                       []message
		Record                         []byte // after the first message
	}
	bob, alice := newDevice(t), newPeer(t)
	var err error
	v.Identity, err = bob.local.Identity.MarshalBinary()
	must(t, err)
	v.SignedPreKey, err = bob.signed.MarshalBinary()
	must(t, err)
	alice.initiate(bob.bundle())
	v.PreKey, err = bob.pre[1].MarshalBinary()
	must(t, err)
	for _, text := range []string{"one", "two", "", "a longer text, which takes more than one block"} {
		c := alice.seal(text)
		wants(t, bob, c, text)
		if v.Messages = append(v.Messages, message{c.PreKey, c.Data, []byte(text)}); v.Record == nil {
			v.Record = bob.stored
		}
	}
	b, err := json.MarshalIndent(v, "", "\t")
	must(t, err)
	must(t, os.WriteFile("../../../relay/signal/testdata/twomemo.json", append(b, '\n'), 0o644))
}

func TestPayloads(t *testing.T) {
	p := newPeer(t)
	for _, n := range []int{0, 1, 15, 16, 17, 5000} {
		content := make([]byte, n)
		key, payload, err := signal.SealPayload(content)
		must(t, err)
		theirs, err := p.do(order{Do: "decrypt", Payload: payload, Key: key})
		if err != nil || string(theirs.Text) != string(content) {
			t.Errorf("%d bytes: they read %d, %v", n, len(theirs.Text), err)
		}
		o, err := p.do(order{Do: "encrypt", Text: content})
		must(t, err)
		ours, err := signal.OpenPayload(o.Key, o.Payload)
		if err != nil || string(ours) != string(content) {
			t.Errorf("%d bytes: we read %d, %v", n, len(ours), err)
		}
	}
}
