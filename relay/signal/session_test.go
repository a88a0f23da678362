package signal

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestConversationGoesOnThroughManyTurns(t *testing.T) {
	inFormats(t, func(t *testing.T, f Format) {
		alice, bob := pairOf(t, f)
		for turn := range 20 {
			for i := range turn % 4 {
				text := fmt.Sprintf("alice %d %d", turn, i)
				bob.wants(alice.seal(text), text)
			}
			for i := range 1 + turn%3 {
				text := fmt.Sprintf("bob %d %d", turn, i)
				alice.wants(bob.seal(text), text)
			}
		}
	})
}

func TestFirstMessagesRepeatThePreKeyUntilAnswered(t *testing.T) {
	inFormats(t, func(t *testing.T, f Format) {
		alice, bob := newDeviceOf(t, f), newDeviceOf(t, f)
		alice.initiate(bob.bundle())
		for i := range 3 {
			c := alice.seal("early")
			if !c.PreKey {
				t.Fatalf("message %d is no pre-key message", i)
			}
			got, err := Decrypt(bob.local, bob.record(), bob, c, bob.now)
			must(t, err)
			if got.NewSession != (i == 0) || (got.UsedPreKey == 1) != (i == 0) {
				t.Errorf("message %d: NewSession %t, UsedPreKey %d", i, got.NewSession, got.UsedPreKey)
			}
			bob.wants(c, "early")
			if alice.record().Answered() {
				t.Error("the session counts as answered before an answer came")
			}
		}
		c := bob.seal("answer")
		if c.PreKey {
			t.Error("the answer is a pre-key message")
		}
		alice.wants(c, "answer")
		if !alice.record().Answered() {
			t.Error("the session does not count as answered")
		}
		if alice.seal("later").PreKey {
			t.Error("pre-key messages go on after the answer")
		}
	})
}

func TestSessionBeginsWithoutOneTimePreKey(t *testing.T) {
	alice, bob := newDevice(t), newDevice(t)
	clear(bob.pre)
	b := bob.bundle()
	if b.PreKeyID != 0 {
		t.Fatal("bundle offers a pre-key")
	}
	alice.initiate(b)
	bob.wants(alice.seal("hello"), "hello")
	alice.wants(bob.seal("yes?"), "yes?")
}

func TestMessagesOfFormerTurnsComeLate(t *testing.T) {
	inFormats(t, func(t *testing.T, f Format) {
		alice, bob := pairOf(t, f)
		var late []Ciphertext
		for turn := range maxChains {
			late = append(late, alice.seal(fmt.Sprint("late ", turn)))
			bob.wants(alice.seal("in time"), "in time")
			alice.wants(bob.seal("turn"), "turn")
		}
		for turn, c := range late[1:] {
			bob.wants(c, fmt.Sprint("late ", turn+1))
		}
	})
}

func TestSignedPreKeyThatWasReplacedStillWorks(t *testing.T) {
	inFormats(t, func(t *testing.T, f Format) {
		alice, bob := newDeviceOf(t, f), newDeviceOf(t, f)
		b := bob.bundle()
		bob.addSigned(2)
		alice.initiate(b)
		bob.wants(alice.seal("late"), "late")
		if bob.bundle().SignedPreKeyID != 2 {
			t.Error("the new bundle offers the old key")
		}
	})
}

func TestPeerThatLostItsStateBeginsAnew(t *testing.T) {
	inFormats(t, func(t *testing.T, f Format) {
		alice, bob := pairOf(t, f)
		lost := bob.seal("under way")
		bob.stored = nil
		bob.initiate(alice.bundle())
		alice.wants(bob.seal("I lost everything"), "I lost everything")
		bob.wants(alice.seal("welcome back"), "welcome back")
		alice.wants(lost, "under way")
	})
}

func TestDiscardedSessionIsNotEncryptedIn(t *testing.T) {
	inFormats(t, func(t *testing.T, f Format) {
		alice, bob := pairOf(t, f)
		late := bob.seal("late")
		alice.store(alice.record().Discard(alice.now))
		if _, _, err := Encrypt(alice.record(), alice.local, nil); !errors.Is(err, ErrNoSession) {
			t.Fatalf("encrypting gave %v, want ErrNoSession", err)
		}
		alice.initiate(bob.bundle())
		c := alice.seal("again")
		if !c.PreKey {
			t.Error("no new session")
		}
		bob.wants(c, "again")
		alice.wants(late, "late")
	})
}

func TestArchivedSessionsEndAfterTheirLifetime(t *testing.T) {
	inFormats(t, func(t *testing.T, f Format) {
		alice, bob := pairOf(t, f)
		late := bob.seal("late")
		alice.initiate(bob.bundle())
		alice.now = alice.now.Add(ArchivedLifetime + time.Second)
		alice.initiate(bob.bundle())
		if _, err := alice.open(late); !errors.Is(err, ErrUnauthenticated) {
			t.Errorf("decrypting gave %v, want ErrUnauthenticated", err)
		}
	})
}

func TestIdentityChangeIsVisible(t *testing.T) {
	inFormats(t, func(t *testing.T, f Format) {
		alice, bob := pairOf(t, f)
		stranger := newDeviceOf(t, f)
		stranger.initiate(alice.bundle())
		got, err := Decrypt(alice.local, alice.record(), alice, stranger.seal("it's me"), alice.now)
		must(t, err)
		if !got.IdentityChanged || !got.Identity.Equal(stranger.local.Identity.Public()) {
			t.Error("a new identity goes unnoticed")
		}
		got, err = Decrypt(alice.local, alice.record(), alice, bob.seal("me too"), alice.now)
		must(t, err)
		if got.IdentityChanged || !got.Identity.Equal(bob.local.Identity.Public()) {
			t.Error("the known identity counts as a change")
		}
	})
}

func TestSessionOfAFormerOwnIdentityOnlyDecrypts(t *testing.T) {
	inFormats(t, func(t *testing.T, f Format) {
		alice, bob := pairOf(t, f)
		late := bob.seal("late")
		fresh := newDeviceOf(t, f)
		alice.local = fresh.local
		if _, _, err := Encrypt(alice.record(), alice.local, nil); !errors.Is(err, ErrNoSession) {
			t.Errorf("encrypting gave %v, want ErrNoSession", err)
		}
		alice.wants(late, "late")
	})
}

func TestEmptyAndLongestPlaintext(t *testing.T) {
	inFormats(t, func(t *testing.T, f Format) {
		alice, bob := pairOf(t, f)
		bob.wants(alice.seal(""), "")
		longest := string(make([]byte, MaxPlaintext))
		bob.wants(alice.seal(longest), longest)
		if _, _, err := Encrypt(alice.record(), alice.local, make([]byte, MaxPlaintext+1)); !errors.Is(err, ErrTooLong) {
			t.Errorf("encrypting gave %v, want ErrTooLong", err)
		}
		again := newDeviceOf(t, f)
		again.initiate(bob.bundle())
		bob.wants(again.seal(longest), longest)
	})
}

// A peer that gets no answer keeps its ratchet key (XEP-0384 v0.9 asks for a heartbeat at number 53).
func TestHeartbeat_IsDueOnceForEachLongChain(t *testing.T) {
	inFormats(t, func(t *testing.T, f Format) {
		due := func(to *device, c Ciphertext) bool {
			t.Helper()
			d, err := Decrypt(to.local, to.record(), to, c, to.now)
			must(t, err)
			to.store(d.Record)
			return d.Heartbeat
		}
		alice, bob := pairOf(t, f)
		bob.wants(alice.seal("a"), "a")
		alice.wants(bob.seal("b"), "b")
		for range 2 { // the answer begins another chain
			var late []Ciphertext
			for n := range 60 {
				c := alice.seal("again")
				switch {
				case n == 20 || n == 54:
					late = append(late, c)
				case due(bob, c) != (n == 53):
					t.Errorf("message %d: %t", n, n != 53)
				}
			}
			for _, c := range late {
				if due(bob, c) {
					t.Error("a late message asks for another heartbeat")
				}
			}
			if due(alice, bob.seal("")) {
				t.Error("a heartbeat asks for one")
			}
		}
		for range 70 { // lost on the way
			alice.seal("lost")
		}
		if !due(bob, alice.seal("after a gap")) || due(bob, alice.seal("and the next")) {
			t.Error("a gap hides that the chain is long")
		}
	})
}
