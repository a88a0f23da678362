package seal_test

import (
	"bytes"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/seal/sealtest"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// errAway is what an unreachable vault fails with.
var errAway = errors.New("away")

// clock is a time that stands still until told.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newRing(w *sealtest.Wrapper) (*seal.Keyring, *clock) {
	c := &clock{start}
	return seal.New(w, seal.Period(30*24*time.Hour), c.now), c
}

// begin opens the next epoch.
func begin(t *testing.T, k *seal.Keyring) seal.Epoch {
	t.Helper()
	e, err := k.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Adopt(e.ID); err != nil {
		t.Fatal(err)
	}
	return e
}

func mustSeal(t *testing.T, k *seal.Keyring, purpose, row, text string) (int64, []byte) {
	t.Helper()
	epoch, value, err := k.Seal(purpose, []byte(row), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return epoch, value
}

func wantIs(t *testing.T, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s: error is %v, want %v", what, err, target)
	}
}

func TestPeriodIsAThirtiethAndAtLeastAnHour(t *testing.T) {
	for retention, want := range map[time.Duration]time.Duration{
		30 * 24 * time.Hour: 24 * time.Hour,
		2 * 24 * time.Hour:  96 * time.Minute,
		24 * time.Hour:      time.Hour,
		time.Minute:         time.Hour,
	} {
		if got := seal.Period(retention); got != want {
			t.Errorf("Period(%s) = %s, want %s", retention, got, want)
		}
	}
}

func TestSealedValueOpensOnlyForItsPurposeRowAndEpoch(t *testing.T) {
	k, _ := newRing(sealtest.New())
	first := begin(t, k).ID
	epoch, value := mustSeal(t, k, "message", "row 1", "hello")
	if epoch != first || bytes.Contains(value, []byte("hello")) {
		t.Fatalf("sealed in epoch %d, or not sealed at all", epoch)
	}
	second := begin(t, k).ID
	if plain, err := k.Open(first, "message", []byte("row 1"), value); err != nil || string(plain) != "hello" {
		t.Errorf("opened %q, %v", plain, err)
	}
	for name, open := range map[string]func() ([]byte, error){
		"another purpose":     func() ([]byte, error) { return k.Open(first, "job", []byte("row 1"), value) },
		"another row":         func() ([]byte, error) { return k.Open(first, "message", []byte("row 2"), value) },
		"another epoch":       func() ([]byte, error) { return k.Open(second, "message", []byte("row 1"), value) },
		"shifted boundaries":  func() ([]byte, error) { return k.Open(first, "messager", []byte("ow 1"), value) },
		"nothing":             func() ([]byte, error) { return k.Open(first, "message", []byte("row 1"), nil) },
		"only the nonce":      func() ([]byte, error) { return k.Open(first, "message", []byte("row 1"), value[:13]) },
		"the last byte short": func() ([]byte, error) { return k.Open(first, "message", []byte("row 1"), value[:len(value)-1]) },
	} {
		_, err := open()
		wantIs(t, name, err, seal.ErrTampered)
	}
}

func TestSeal_DetectsEveryChangedBit(t *testing.T) {
	k, _ := newRing(sealtest.New())
	epoch := begin(t, k).ID
	_, value := mustSeal(t, k, "p", "r", "some text")
	for i := range len(value) * 8 {
		changed := bytes.Clone(value)
		changed[i/8] ^= 1 << (i % 8)
		_, err := k.Open(epoch, "p", []byte("r"), changed)
		if !errors.Is(err, seal.ErrTampered) {
			t.Fatalf("bit %d changed: %v", i, err)
		}
	}
}

func TestSameTextIsNeverSealedTheSameTwice(t *testing.T) {
	k, _ := newRing(sealtest.New())
	begin(t, k)
	seen := make(map[string]bool)
	for range 1000 {
		_, value := mustSeal(t, k, "p", "r", "text")
		if seen[string(value)] {
			t.Fatal("two sealed values are equal")
		}
		seen[string(value)] = true
	}
}

func TestEmptyTextIsSealedToo(t *testing.T) {
	k, _ := newRing(sealtest.New())
	epoch := begin(t, k).ID
	_, value := mustSeal(t, k, "p", "r", "")
	if plain, err := k.Open(epoch, "p", []byte("r"), value); err != nil || len(plain) != 0 || len(value) != seal.Overhead {
		t.Errorf("opened %d bytes, %v; sealed are %d", len(plain), err, len(value))
	}
}

func TestLookupDependsOnEpochPurposeAndValue(t *testing.T) {
	w := sealtest.New()
	k, _ := newRing(w)
	first := begin(t, k)
	second := begin(t, k)
	sums := make(map[[32]byte]string)
	for _, epoch := range []int64{first.ID, second.ID} {
		for _, purpose := range []string{"customer", "device"} {
			for _, value := range []string{"15551234567", "15551234568"} {
				sum, err := k.Lookup(epoch, purpose, []byte(value))
				if err != nil {
					t.Fatal(err)
				}
				if other, ok := sums[sum]; ok {
					t.Errorf("%d %s %s collides with %s", epoch, purpose, value, other)
				}
				sums[sum] = purpose + value
			}
		}
	}
	again, _ := newRing(w)
	if _, err := again.Load(t.Context(), []seal.Epoch{first, second}); err != nil {
		t.Fatal(err)
	}
	sum, err := again.Lookup(first.ID, "customer", []byte("15551234567"))
	if _, ok := sums[sum]; err != nil || !ok {
		t.Errorf("after loading the lookup is another, %v", err)
	}
}

func TestLoadedKeyringOpensWhatAnotherSealedAndNumbersOn(t *testing.T) {
	w := sealtest.New()
	k, _ := newRing(w)
	first := begin(t, k)
	_, value := mustSeal(t, k, "p", "r", "text")
	second := begin(t, k)

	again, _ := newRing(w)
	erased, err := again.Load(t.Context(), []seal.Epoch{second, first})
	if err != nil || len(erased) != 0 {
		t.Fatalf("loading: %v, erased %v", err, erased)
	}
	if plain, err := again.Open(first.ID, "p", []byte("r"), value); err != nil || string(plain) != "text" {
		t.Errorf("opened %q, %v", plain, err)
	}
	if current, err := again.Current(); err != nil || current != second.ID {
		t.Errorf("the current epoch is %d, %v", current, err)
	}
	if third := begin(t, again); third.ID != second.ID+1 {
		t.Errorf("the next epoch is %d after %d", third.ID, second.ID)
	}
}

func TestErasedEpochIsToldAndItsIDNotUsedAgain(t *testing.T) {
	w := sealtest.New()
	k, _ := newRing(w)
	only := begin(t, k)
	_, value := mustSeal(t, k, "p", "r", "text")
	w.Erase(only.Wrapped)

	again, _ := newRing(w)
	erased, err := again.Load(t.Context(), []seal.Epoch{only})
	if err != nil || len(erased) != 1 || erased[0] != only.ID {
		t.Fatalf("erased are %v, %v", erased, err)
	}
	_, err = again.Open(only.ID, "p", []byte("r"), value)
	wantIs(t, "opening", err, seal.ErrErased)
	_, _, err = again.Seal("p", []byte("r"), nil)
	wantIs(t, "sealing without an epoch", err, seal.ErrNoEpoch)
	if next := begin(t, again); next.ID <= only.ID {
		t.Errorf("the next epoch is %d after %d", next.ID, only.ID)
	}
}

func TestLoadFailsAsAWholeWhileTheVaultIsAway(t *testing.T) {
	w := sealtest.New()
	k, _ := newRing(w)
	e := begin(t, k)
	w.SetAway(errAway)
	again, _ := newRing(w)
	erased, err := again.Load(t.Context(), []seal.Epoch{e})
	wantIs(t, "loading", err, errAway)
	if len(erased) != 0 || len(again.Live()) != 0 {
		t.Errorf("erased %v, live %v", erased, again.Live())
	}
}

func TestNewEpochIsDueWhenThePeriodHasPassedAndTheOldOneServesMeanwhile(t *testing.T) {
	w := sealtest.New()
	k, c := newRing(w)
	if !k.Due() {
		t.Error("an empty keyring wants no epoch")
	}
	first := begin(t, k).ID
	for _, step := range []struct {
		after time.Duration
		due   bool
	}{{0, false}, {-time.Hour, false}, {24*time.Hour - 1, false}, {24 * time.Hour, true}, {50 * 24 * time.Hour, true}} {
		c.at = start.Add(step.after)
		if k.Due() != step.due {
			t.Errorf("after %s due is %v", step.after, k.Due())
		}
	}
	w.SetAway(errAway)
	_, err := k.Next(t.Context())
	wantIs(t, "the next epoch with the vault away", err, errAway)
	if epoch, _ := mustSeal(t, k, "p", "r", "text"); epoch != first {
		t.Errorf("sealed in epoch %d", epoch)
	}
}

func TestEpoch_SealsNothingBeforeItIsAdopted(t *testing.T) {
	k, _ := newRing(sealtest.New())
	first := begin(t, k).ID
	second, err := k.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if epoch, _ := mustSeal(t, k, "p", "r", "text"); epoch != first {
		t.Errorf("sealed in epoch %d before it was adopted", epoch)
	}
	_, err = k.SealIn(second.ID, "p", nil, nil)
	wantIs(t, "sealing in it", err, seal.ErrErased)
	wantIs(t, "adopting another", k.Adopt(second.ID+1), seal.ErrNoEpoch)
	if err := k.Adopt(second.ID); err != nil {
		t.Error(err)
	}
	wantIs(t, "adopting it twice", k.Adopt(second.ID), seal.ErrNoEpoch)
}

func TestForgottenEpochOpensNothingAndNoOlderOneTakesItsPlace(t *testing.T) {
	k, _ := newRing(sealtest.New())
	first := begin(t, k).ID
	second := begin(t, k).ID
	_, value := mustSeal(t, k, "p", "r", "text")
	k.Forget(second, 99)
	_, err := k.Open(second, "p", []byte("r"), value)
	wantIs(t, "opening", err, seal.ErrErased)
	_, err = k.Lookup(second, "p", nil)
	wantIs(t, "looking up", err, seal.ErrErased)
	_, err = k.SealIn(second, "p", nil, nil)
	wantIs(t, "sealing in it", err, seal.ErrErased)
	_, _, err = k.Seal("p", nil, nil)
	wantIs(t, "sealing", err, seal.ErrNoEpoch)
	if live := k.Live(); len(live) != 1 || live[0].ID != first {
		t.Errorf("live are %v", live)
	}
}

func TestKeysOfTheWrongLengthAreRefused(t *testing.T) {
	for _, size := range []int{0, 16, 31, 33} {
		w := sealtest.NewSized(size)
		k, _ := newRing(w)
		_, err := k.Next(t.Context())
		wantIs(t, "next", err, seal.ErrBadKey)
		for _, name := range w.Names() {
			_, err = k.Load(t.Context(), []seal.Epoch{{ID: 1, Wrapped: name, Created: start}})
			wantIs(t, "load", err, seal.ErrBadKey)
		}
	}
}

func TestDataKey_IsOverwrittenAfterUse(t *testing.T) {
	w := sealtest.New()
	k, _ := newRing(w)
	e := begin(t, k)
	again, _ := newRing(w)
	if _, err := again.Load(t.Context(), []seal.Epoch{e}); err != nil {
		t.Fatal(err)
	}
	for i, given := range w.Given() {
		if !bytes.Equal(given, make([]byte, len(given))) {
			t.Errorf("key %d lies in memory still", i)
		}
	}
}

func TestKeyringServesManyAtOnceWhileEpochsComeAndGo(t *testing.T) {
	k, _ := newRing(sealtest.New())
	begin(t, k)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 300 {
				epoch, value, err := k.Seal("p", []byte("r"), []byte("text"))
				if errors.Is(err, seal.ErrNoEpoch) || errors.Is(err, seal.ErrErased) {
					continue // just forgotten
				}
				if err != nil {
					t.Errorf("sealing: %v", err)
					return
				}
				if plain, err := k.Open(epoch, "p", []byte("r"), value); err == nil && string(plain) != "text" {
					t.Errorf("opened %q", plain)
				} else if err != nil && !errors.Is(err, seal.ErrErased) {
					t.Errorf("opening: %v", err)
				}
				_, _ = k.Lookup(epoch, "p", []byte("v"))
				k.Live()
			}
		})
	}
	for range 50 {
		e := begin(t, k)
		k.Forget(e.ID - 1)
	}
	group.Wait()
}
