package signal

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func TestTalksWithTheLibraryBothWays(t *testing.T) {
	for _, ours := range []string{"initiator", "responder"} {
		t.Run(ours, func(t *testing.T) {
			var alice, bob end = newDevice(t), newLibDevice(t)
			if ours == "responder" {
				alice, bob = bob, alice
			}
			alice.initiate(bob.bundle())
			for range 3 {
				wants(t, bob, alice.seal("early"), "early")
			}
			for turn := range 25 {
				text := fmt.Sprint("turn ", turn)
				wants(t, alice, bob.seal(text), text)
				wants(t, bob, alice.seal(text), text)
				wants(t, bob, alice.seal(text), text)
			}
		})
	}
}

func TestTalksWithTheLibraryOutOfOrder(t *testing.T) {
	for _, ours := range []string{"sends", "receives"} {
		t.Run(ours, func(t *testing.T) {
			var alice, bob end = newDevice(t), newLibDevice(t)
			if ours == "receives" {
				alice, bob = bob, alice
			}
			alice.initiate(bob.bundle())
			wants(t, bob, alice.seal("hello"), "hello")
			wants(t, alice, bob.seal("yes"), "yes")
			var sent []Ciphertext
			for i := range 200 {
				sent = append(sent, alice.seal(fmt.Sprint(i)))
			}
			for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(len(sent)) {
				wants(t, bob, sent[i], fmt.Sprint(i))
			}
		})
	}
}

func TestCrossedInitiationWithTheLibrary(t *testing.T) {
	var ours, theirs end = newDevice(t), newLibDevice(t)
	ours.initiate(theirs.bundle())
	theirs.initiate(ours.bundle())
	a, b := ours.seal("crossing"), theirs.seal("crossing too")
	wants(t, theirs, a, "crossing")
	wants(t, ours, b, "crossing too")
	for turn := range 10 {
		text := fmt.Sprint("after ", turn)
		wants(t, theirs, ours.seal(text), text)
		wants(t, ours, theirs.seal(text), text)
	}
}
