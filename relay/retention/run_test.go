package retention

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/receipt"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// transit is a wrapping key that keeps to Vault's rules as they were observed: times
// are listed only from min_decryption on, and a step out of order is refused. It can
// be told to fail at the n-th change, before or after that took effect.
type transit struct {
	now                               time.Time
	created                           []time.Time // of version 1 and up
	decryption, encryption, available int
	period                            time.Duration
	none                              bool
	changes, failAt                   int
	failAfter                         bool
	log                               []string
	interfere                         func(*transit)
	carried, dropped                  []vault.CarriedKey
	listing                           error // of carried
	receipts                          []receipt.Receipt
	unwritten                         error
}

func (v *transit) CreateReceipt(_ context.Context, r receipt.Receipt) error {
	if v.unwritten != nil {
		return v.unwritten
	}
	if r.By == "" {
		r.By = receipt.Janitor
	}
	v.receipts = append(v.receipts, r)
	_, err := r.Encode()
	return err
}

var errLost = &lostError{}

type lostError struct{}

func (*lostError) Error() string { return "connection lost" }
func (*lostError) Unwrap() error { return vault.ErrUnavailable }

func newTransit(hours ...int) *transit {
	v := &transit{now: epoch, decryption: 1, period: 24 * time.Hour}
	for _, h := range hours {
		v.created = append(v.created, epoch.Add(-time.Duration(h)*time.Hour))
	}
	return v
}

func (v *transit) Now(context.Context) (time.Time, error) { return v.now, nil }

func (v *transit) Key(context.Context) (vault.KeyState, error) {
	if v.none {
		return vault.KeyState{}, fmt.Errorf("reading: %w", vault.ErrNotFound)
	}
	s := vault.KeyState{MinDecryption: v.decryption, MinEncryption: v.encryption, MinAvailable: v.available, AutoRotate: v.period}
	for i, created := range v.created {
		if i+1 >= v.decryption {
			s.Versions = append(s.Versions, vault.KeyVersion{Version: i + 1, Created: created})
		}
	}
	if v.interfere != nil {
		interfere := v.interfere
		v.interfere = nil
		interfere(v)
	}
	return s, nil
}

// change runs one change unless it is the one that fails.
func (v *transit) change(name string, allowed bool, apply func()) error {
	v.changes++
	fails := v.changes == v.failAt
	if fails && !v.failAfter {
		return errLost
	}
	if !allowed {
		return fmt.Errorf("%s: %w", name, vault.ErrForeignContent)
	}
	v.log = append(v.log, name)
	apply()
	if fails {
		return errLost
	}
	return nil
}

func (v *transit) Rotate(context.Context) error {
	return v.change("rotate", true, func() { v.created = append(v.created, v.now) })
}

func (v *transit) Carried(context.Context) ([]vault.CarriedKey, error) {
	return v.carried, v.listing
}

func (v *transit) DropCarried(_ context.Context, key vault.CarriedKey) error {
	v.dropped = append(v.dropped, key)
	return nil
}

func (v *transit) SetRotation(_ context.Context, retention time.Duration) error {
	return v.change("set rotation", true, func() { v.period = seal.Period(retention) })
}

func (v *transit) SetMinimum(_ context.Context, decryption, encryption int) error {
	allowed := decryption >= v.available && decryption <= encryption && encryption <= len(v.created)
	return v.change(fmt.Sprintf("minimum %d %d", decryption, encryption), allowed, func() {
		v.decryption, v.encryption = decryption, encryption
	})
}

func (v *transit) Trim(_ context.Context, below int) error {
	allowed := below >= v.available && below <= v.decryption && below <= v.encryption
	return v.change(fmt.Sprintf("trim %d", below), allowed, func() { v.available = below })
}

func run(t *testing.T, v *transit, days int) contract.RetentionResult {
	t.Helper()
	result, err := Run(t.Context(), v, days, 0)
	if err != nil || !result.Succeeded {
		t.Fatalf("run failed: %v; result %+v; steps %v", err, result, v.log)
	}
	return result
}

func TestRunRefusesBeforeItDestroys(t *testing.T) {
	v := newTransit(800, 750, 100, 0)
	result := run(t, v, 30)
	if want := []string{"minimum 3 4", "trim 3"}; !slices.Equal(v.log, want) {
		t.Errorf("steps are %v, want %v", v.log, want)
	}
	if result.Erased != 2 || result.OldestVersion != 3 || result.LatestVersion != 4 || !result.OldestKeyTime.Equal(v.created[2]) {
		t.Errorf("result is %+v", result)
	}
}

func TestRunWithNothingDueChangesNothing(t *testing.T) {
	v := newTransit(100, 0)
	if result := run(t, v, 30); result.Erased != 0 || len(v.log) != 0 {
		t.Errorf("steps are %v, result %+v", v.log, result)
	}
}

func TestRunReassertsTheRotation(t *testing.T) {
	v := newTransit(0)
	v.period = 0
	run(t, v, 30)
	if v.period != 24*time.Hour {
		t.Errorf("the key rotates every %s", v.period)
	}
	run(t, v, 1)
	if v.period != time.Hour {
		t.Errorf("after the retention became a day it rotates every %s", v.period)
	}
}

func TestRunRotatesAKeyWhoseLatestVersionIsDue(t *testing.T) {
	v := newTransit(2000, 1000)
	result := run(t, v, 30)
	if want := []string{"rotate", "minimum 3 3", "trim 3"}; !slices.Equal(v.log, want) {
		t.Errorf("steps are %v, want %v", v.log, want)
	}
	if result.OldestVersion != 3 || result.Erased != 2 {
		t.Errorf("result is %+v", result)
	}
}

func TestRunWithoutAKeySucceeds(t *testing.T) {
	v := newTransit()
	v.none = true
	if result := run(t, v, 30); result.Reason != "NoKey" || result.OldestKeyTime != nil {
		t.Errorf("result is %+v", result)
	}
}

// Whichever change fails, whether or not it took effect, the run says so, and the
// next one ends where an undisturbed run would have.
func TestRunInterruptedAnywhereIsFinishedByTheNext(t *testing.T) {
	for failAt := 1; failAt <= 4; failAt++ {
		for _, after := range []bool{false, true} {
			v := newTransit(2000, 1500, 1000)
			v.period, v.failAt, v.failAfter = 0, failAt, after
			result, err := Run(t.Context(), v, 30, 0)
			if !errors.Is(err, vault.ErrUnavailable) || result.Succeeded || result.Reason != "VaultUnavailable" {
				t.Fatalf("failing at %d: error %v, result %+v", failAt, err, result)
			}
			run(t, v, 30)
			if v.available < 4 || v.available != v.decryption || v.period != 24*time.Hour {
				t.Errorf("failing at %d (after %v) ends with available %d, decryption %d; steps %v",
					failAt, after, v.available, v.decryption, v.log)
			}
		}
	}
}

func TestJanitors_TwoAtOnceAreHarmless(t *testing.T) {
	v := newTransit(800, 750, 100, 0)
	v.interfere = func(v *transit) { // the other does all of its work right after our first look
		if _, err := Run(context.Background(), v, 30, 0); err != nil {
			t.Errorf("the other's run failed: %v", err)
		}
	}
	run(t, v, 30)
	if v.available != 3 || v.decryption != 3 {
		t.Errorf("ends with available %d, decryption %d; steps %v", v.available, v.decryption, v.log)
	}
}

func TestJanitor_WithALaterClockIsHarmless(t *testing.T) {
	v := newTransit(800, 750, 718, 0)
	v.interfere = func(v *transit) { // two hours later, one more version is due
		if _, err := Run(context.Background(), v, 30, 2*time.Hour); err != nil {
			t.Errorf("the other's run failed: %v", err)
		}
	}
	run(t, v, 30)
	if v.available != 4 || v.decryption != 4 {
		t.Errorf("ends with available %d, decryption %d; steps %v", v.available, v.decryption, v.log)
	}
}

func TestVersions_DieInTimeOverTwoMonths(t *testing.T) {
	v := newTransit(0)
	const retention = 3 * 24 * time.Hour
	period := seal.Period(retention)
	for range 60 * 24 {
		v.now = v.now.Add(time.Hour)
		if last := v.created[len(v.created)-1]; v.now.Sub(last) >= period {
			v.created = append(v.created, v.now) // Vault looks hourly whether to rotate
		}
		run(t, v, 3)
		for version, created := range v.created {
			readable := version+1 >= max(v.available, 1)
			age := v.now.Sub(created)
			if readable && age > retention-time.Hour {
				t.Fatalf("version %d is readable at the age of %s", version+1, age)
			}
			if !readable && age < retention-time.Hour {
				t.Fatalf("version %d died at the age of %s", version+1, age)
			}
		}
	}
}

func TestReportFitsATerminationMessage(t *testing.T) {
	result := contract.RetentionResult{
		Version: 1, Reason: strings.Repeat("R", 9000), Message: strings.Repeat("\x01é\"", 9000), OldestKeyTime: new(epoch),
	}
	path := filepath.Join(t.TempDir(), "log")
	if err := Report(path, result); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var back contract.RetentionResult
	if err := json.Unmarshal(text, &back); err != nil || len(text) > maxReport {
		t.Errorf("%d bytes, which read back as %v", len(text), err)
	}
}

// A data key from another region dies as a version of that age would, whatever else the run does.
func TestRunDestroysWhatWasCarriedWhenItIsDue(t *testing.T) {
	v := newTransit(100)
	at := func(hours int) vault.CarriedKey {
		return vault.CarriedKey{Created: v.now.Add(-time.Duration(hours) * time.Hour)}
	}
	// The run looks ahead to the next one: 719 hours and one more are 30 days.
	v.carried = []vault.CarriedKey{at(800), at(719), at(718), at(200)}
	result := run(t, v, 30)
	if !slices.Equal(v.dropped, v.carried[:2]) || result.Erased != 2 || !result.OldestKeyTime.Equal(v.carried[2].Created) {
		t.Errorf("dropped %d, result %+v", len(v.dropped), result)
	}
	v.dropped, v.none = nil, true
	if run(t, v, 30); len(v.dropped) != 2 {
		t.Errorf("without a wrapping key it dropped %d", len(v.dropped))
	}
	v.dropped, v.none, v.listing = nil, false, vault.ErrUnavailable
	if result, err := Run(t.Context(), v, 30, 0); !errors.Is(err, vault.ErrUnavailable) || result.Succeeded || len(v.dropped) != 2 {
		t.Errorf("with a list that is not whole: %v, result %+v, dropped %d", err, result, len(v.dropped))
	}
}
