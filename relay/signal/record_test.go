package signal

import (
	"bytes"
	"errors"
	"runtime"
	"testing"
)

// records are records of every kind.
func records(t testing.TB) map[string]*Record {
	t.Helper()
	alice, bob := newDevice(t), newDevice(t)
	all := map[string]*Record{"empty": {}}
	alice.initiate(bob.bundle())
	all["begun"] = alice.record()
	bob.wants(alice.seal("hello"), "hello")
	all["waiting for an answer"] = alice.record()
	all["answer due"] = bob.record()
	alice.wants(bob.seal("yes"), "yes")
	all["answered"] = bob.record()
	all["discarded"] = bob.record().Discard(start)
	for range 3 {
		alice.initiate(bob.bundle())
		bob.wants(alice.seal("again"), "again")
	}
	all["with archived sessions"] = bob.record()
	all["with skipped keys"] = withSkipped(t, 30).record()
	alice, bob = pairOf(t, OMEMO2)
	all["omemo2"] = bob.record()
	bob.initiate(alice.bundle())
	all["omemo2, begun, with an archived session"] = bob.record()
	return all
}

func TestRecordsAreReadAsTheyWereWritten(t *testing.T) {
	for name, r := range records(t) {
		b, err := r.MarshalBinary()
		must(t, err)
		again, err := ParseRecord(b)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if c, err := again.MarshalBinary(); err != nil || !bytes.Equal(b, c) {
			t.Errorf("%s: another record came back, %v", name, err)
		}
		if again.HasSession() != r.HasSession() || again.Answered() != r.Answered() {
			t.Errorf("%s: another state came back", name)
		}
	}
	b, err := (*Record)(nil).MarshalBinary()
	must(t, err)
	if r, err := ParseRecord(b); err != nil || r.HasSession() {
		t.Errorf("no record: %v", err)
	}
}

func TestDamagedRecordsAreMalformed(t *testing.T) {
	for name, r := range records(t) {
		b, err := r.MarshalBinary()
		must(t, err)
		for n := range b {
			if _, err := ParseRecord(b[:n]); !errors.Is(err, ErrMalformed) {
				t.Fatalf("%s cut to %d bytes: %v, want ErrMalformed", name, n, err)
			}
		}
		if _, err := ParseRecord(append(bytes.Clone(b), 0)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s with a byte too many: %v, want ErrMalformed", name, err)
		}
		b[0] = 3
		if _, err := ParseRecord(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s of another version: %v, want ErrMalformed", name, err)
		}
	}
	if _, err := ParseRecord(make([]byte, MaxRecordBytes+1)); !errors.Is(err, ErrMalformed) {
		t.Errorf("too long a record: %v, want ErrMalformed", err)
	}
}

func TestRecord_IsChangedByNoOperation(t *testing.T) {
	alice, bob := pair(t)
	for range 30 {
		bob.seal("held back")
	}
	late := bob.seal("late")
	alice.wants(bob.seal("ahead"), "ahead")
	alice.initiate(bob.bundle())
	r := alice.record()
	before, err := r.MarshalBinary()
	must(t, err)

	_, _, err = Encrypt(r, alice.local, []byte("x"))
	must(t, err)
	_, err = Decrypt(alice.local, r, alice, late, alice.now)
	must(t, err)
	_, err = Decrypt(alice.local, r, alice, late, alice.now.Add(2*SkippedLifetime))
	must(t, err)
	_, err = Initiate(alice.local, r, bob.bundle(), alice.now.Add(2*ArchivedLifetime))
	must(t, err)
	r.Discard(alice.now.Add(2 * ArchivedLifetime))

	after, err := r.MarshalBinary()
	must(t, err)
	if !bytes.Equal(before, after) {
		t.Error("the record changed")
	}
}

func TestDecryptingTwiceGivesTheSame(t *testing.T) {
	alice, bob := pair(t)
	bob.wants(alice.seal("turn"), "turn")
	c := bob.seal("the same")
	r := alice.record()
	first, err := Decrypt(alice.local, r, alice, c, alice.now)
	must(t, err)
	second, err := Decrypt(alice.local, r, alice, c, alice.now)
	must(t, err)
	a, err := first.Record.MarshalBinary()
	must(t, err)
	b, err := second.Record.MarshalBinary()
	must(t, err)
	if !bytes.Equal(a, b) || !bytes.Equal(first.Plaintext, second.Plaintext) {
		t.Error("decrypting is not a function of its arguments")
	}
}

func TestSessionWithAThousandSkippedKeysIsSmall(t *testing.T) {
	bob := withSkipped(t, MaxSkipped)
	const copies = 50
	held := make([]*Record, copies)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range held {
		held[i] = bob.record()
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / copies
	runtime.KeepAlive(held)
	t.Logf("%d bytes of memory, %d stored", each, len(bob.stored))
	if each >= 80_000 || len(bob.stored) >= 80_000 {
		t.Error("want less than 80,000")
	}
}

func TestIdentityIsTheCurrentSessionsPeer(t *testing.T) {
	alice, bob := pair(t)
	if k, ok := alice.record().Identity(); !ok || !k.Equal(bob.local.Identity.Public()) {
		t.Error("not the peer's identity")
	}
	for name, r := range map[string]*Record{"nil": nil, "discarded": alice.record().Discard(start)} {
		if k, ok := r.Identity(); ok || !k.IsZero() {
			t.Errorf("%s: there is an identity", name)
		}
	}
}
