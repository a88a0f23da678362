package signal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
)

// link is what a carrier does with messages from one device to another: it holds
// them back and delivers them in any order.
type link struct {
	to      end
	waiting []parcel
}

type parcel struct {
	c    Ciphertext
	text string
}

// deliver hands over one of the waiting messages.
func (l *link) deliver(r *rand.Rand, inOrder bool) error {
	i := 0
	if !inOrder {
		i = r.IntN(len(l.waiting))
	}
	p := l.waiting[i]
	l.waiting = append(l.waiting[:i:i], l.waiting[i+1:]...)
	if text, err := l.to.open(p.c); err != nil || text != p.text {
		return fmt.Errorf("message %q is lost: %q, %w", p.text, text, err)
	}
	return nil
}

// storm has two devices begin sessions at once, and again now and then, while
// messages cross, and returns how many of the messages were lost.
func storm(r *rand.Rand, alice, bob end) (lost int, err error) {
	links := [2]*link{{to: bob}, {to: alice}}
	ends := [2]end{alice, bob}
	inOrder := r.IntN(2) == 0
	deliver := func(l *link) {
		if failed := l.deliver(r, inOrder); failed != nil {
			lost, err = lost+1, failed
		}
	}
	alice.initiate(bob.bundle())
	bob.initiate(alice.bundle())
	for step := range 60 {
		i := r.IntN(2)
		switch n := r.IntN(10); {
		case n == 0 && step < 40:
			ends[i].initiate(ends[1-i].bundle())
		case n < 6:
			text := fmt.Sprint("message ", step)
			links[i].waiting = append(links[i].waiting, parcel{ends[i].seal(text), text})
		case len(links[i].waiting) > 0:
			deliver(links[i])
		}
	}
	for _, l := range links {
		for len(l.waiting) > 0 {
			deliver(l)
		}
	}
	return lost, err
}

// calm has two devices talk in turns, which shows that their session lives.
func calm(alice, bob end) error {
	for turn := range 4 {
		for _, l := range []struct{ from, to end }{{alice, bob}, {bob, alice}} {
			text := fmt.Sprint("calm ", turn)
			if got, err := l.to.open(l.from.seal(text)); err != nil || got != text {
				return fmt.Errorf("turn %d: %q, %w", turn, got, err)
			}
		}
	}
	return nil
}

func TestCrossedInitiationsLoseNoMessageAndNoSession(t *testing.T) {
	inFormats(t, func(t *testing.T, f Format) {
		runs := 500 // in each format
		if testing.Short() {
			runs = 100
		}
		for run := range runs {
			alice, bob := newDeviceOf(t, f), newDeviceOf(t, f)
			alice.addPreKeys(1, 30)
			bob.addPreKeys(1, 30)
			if lost, err := storm(rand.New(rand.NewPCG(uint64(run), 1)), alice, bob); lost != 0 {
				t.Fatalf("run %d: %d messages lost: %v", run, lost, err)
			}
			if err := calm(alice, bob); err != nil {
				t.Fatalf("run %d: the session is dead: %v", run, err)
			}
			if a, b := alice.record(), bob.record(); !a.Answered() || !b.Answered() {
				t.Fatalf("run %d: a session is not settled", run)
			}
		}
	})
}

func TestLibraryLosesMessagesInTheSameStorms(t *testing.T) {
	lost, dead := 0, 0
	for run := range 40 {
		alice, bob := newLibDevice(t), newLibDevice(t)
		alice.addPreKeys(1, 30)
		bob.addPreKeys(1, 30)
		n, _ := storm(rand.New(rand.NewPCG(uint64(run), 1)), alice, bob)
		lost += n
		if calm(alice, bob) != nil {
			dead++
		}
	}
	t.Logf("of 40 runs the library loses %d messages and %d sessions", lost, dead)
	libraryStillDoes(t, lost > 0)
}

// TestHostileCarrierCannotForgeLoseOrRepeat delivers ten thousand messages shuffled, some twice, some
// never, some damaged: every genuine one is read exactly once, and nothing else is.
func TestHostileCarrierCannotForgeLoseOrRepeat(t *testing.T) {
	inFormats(t, func(t *testing.T, f Format) {
		r := rand.New(rand.NewPCG(7, 7))
		alice, bob := pairOf(t, f)
		const total, batch = 10_000, 100
		for sent := 0; sent < total; sent += batch {
			from, to := alice, bob
			if r.IntN(2) == 0 {
				from, to = bob, alice
			}
			var parcels []parcel
			for i := range batch {
				text := fmt.Sprint("message ", sent+i)
				parcels = append(parcels, parcel{from.seal(text), text})
			}
			deliverHostile(t, r, to, parcels)
		}
		bob.wants(alice.seal("calm"), "calm")
		alice.wants(bob.seal("calm"), "calm")
	})
}

// deliverHostile drops every tenth parcel, damages copies of others and delivers
// all that in random order, with repetitions.
func deliverHostile(t *testing.T, r *rand.Rand, to *device, parcels []parcel) {
	t.Helper()
	type delivery struct {
		c     Ciphertext
		index int // of the parcel; -1 for a damaged copy
	}
	var deliveries []delivery
	for i, p := range parcels {
		if r.IntN(10) == 0 {
			continue
		}
		deliveries = append(deliveries, delivery{p.c, i})
		if r.IntN(4) == 0 {
			deliveries = append(deliveries, delivery{p.c, i})
		}
		if r.IntN(4) == 0 {
			deliveries = append(deliveries, delivery{flipped(p.c, r.IntN(len(p.c.Data))), -1})
		}
	}
	r.Shuffle(len(deliveries), func(i, j int) { deliveries[i], deliveries[j] = deliveries[j], deliveries[i] })
	read := map[int]bool{}
	for _, d := range deliveries {
		before := to.state()
		text, err := to.open(d.c)
		switch {
		case d.index < 0 || read[d.index]:
			if err == nil {
				t.Fatalf("read what must not be: %q", text)
			}
			if !before.equal(to.state()) {
				t.Fatal("a refused message changed what is stored")
			}
			if d.index >= 0 && !errors.Is(err, ErrReplay) {
				t.Fatalf("a repeated message gives %v, want ErrReplay", err)
			}
		case err != nil || text != parcels[d.index].text:
			t.Fatalf("genuine message %q: %q, %v", parcels[d.index].text, text, err)
		default:
			read[d.index] = true
		}
	}
}

func TestForgedPreKeyMessagesChangeNothing(t *testing.T) {
	inFormats(t, func(t *testing.T, f Format) {
		alice, bob := newDeviceOf(t, f), newDeviceOf(t, f)
		alice.initiate(bob.bundle())
		genuine := alice.seal("hello")
		for i := range genuine.Data {
			before := bob.state()
			got, err := Decrypt(bob.local, bob.record(), bob, flipped(genuine, i), bob.now)
			if err == nil {
				// The version's lower half and the registration id are nobody's business
				// and authenticated by nothing.
				if string(got.Plaintext) != "hello" || !got.Identity.Equal(alice.local.Identity.Public()) {
					t.Errorf("byte %d: a forged message is read", i)
				}
				continue
			}
			if Class(err) == "other" {
				t.Errorf("byte %d: %v has no class", i, err)
			}
			if !before.equal(bob.state()) || got.Record != nil || got.UsedPreKey != 0 {
				t.Errorf("byte %d: something changed", i)
			}
		}
		bob.wants(genuine, "hello")
	})
}

func TestPreKeyMessageIsReadOnceOnly(t *testing.T) {
	inFormats(t, func(t *testing.T, f Format) {
		alice, bob := newDeviceOf(t, f), newDeviceOf(t, f)
		alice.initiate(bob.bundle())
		c := alice.seal("hello")
		bob.wants(c, "hello")
		if _, err := bob.open(c); !errors.Is(err, ErrReplay) {
			t.Errorf("again: %v, want ErrReplay", err)
		}
		bob.stored = nil
		if _, err := bob.open(c); !errors.Is(err, ErrUnknownPreKey) {
			t.Errorf("again, without the session: %v, want ErrUnknownPreKey", err)
		}
	})
}

func TestSessionsBeginningOverAndOverAreBounded(t *testing.T) {
	inFormats(t, func(t *testing.T, f Format) {
		alice, bob := pairOf(t, f)
		bob.addPreKeys(5, 3*MaxArchived)
		for range 3 * MaxArchived {
			alice.initiate(bob.bundle())
			bob.wants(alice.seal("again"), "again")
		}
		if n := len(bob.record().archived); n != MaxArchived {
			t.Errorf("%d archived sessions, want %d", n, MaxArchived)
		}
		if len(bob.stored) > MaxRecordBytes {
			t.Errorf("record has %d bytes", len(bob.stored))
		}
		alice.wants(bob.seal("enough"), "enough")
	})
}
