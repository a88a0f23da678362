package retention

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/receipt"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// mount is a transit mount of several keys.
type mount struct {
	keys   map[string]*transit
	others int
	looked []string
	away   error
	failed map[string]error
	hangs  string
}

func (m *mount) Now(context.Context) (time.Time, error) { return epoch, m.away }

func (m *mount) WrappingKeys(context.Context) ([]string, int, error) {
	return slices.Sorted(maps.Keys(m.keys)), m.others, nil
}

func (m *mount) CreateReceipt(ctx context.Context, name string, r receipt.Receipt) error {
	r.By = receipt.Keeper
	return m.keys[name].CreateReceipt(ctx, r)
}

func (m *mount) Key(name string) Key { return mounted{m.keys[name], m, name} }

// mounted is one key of a mount.
type mounted struct {
	*transit
	mount *mount
	name  string
}

func (k mounted) Key(ctx context.Context) (vault.KeyState, error) {
	k.mount.looked = append(k.mount.looked, k.name)
	if k.name == k.mount.hangs {
		<-ctx.Done()
		return vault.KeyState{}, ctx.Err()
	}
	if err := k.mount.failed[k.name]; err != nil {
		return vault.KeyState{}, err
	}
	return k.transit.Key(ctx)
}

func mountOf(keys map[string]*transit) *mount { return &mount{keys: keys, failed: map[string]error{}} }

func keep(t *testing.T, m *mount, limits Limits) (contract.KeeperResult, error) {
	t.Helper()
	result, err := Keep(t.Context(), m, limits, 0, nil)
	if result.Succeeded != (err == nil) || result.Version != contract.KeeperResultVersion {
		t.Errorf("result %+v with error %v", result, err)
	}
	return result, err
}

func TestKeepDestroysWhatIsOlderThanAnyRelayMayKeepAndNothingElse(t *testing.T) {
	m := mountOf(map[string]*transit{
		"gone.acme-relay":   newTransit(2000, 1000, 100),
		"dead.shop-relay":   newTransit(3000),
		"live.globex-relay": newTransit(700, 10),
	})
	m.keys["gone.acme-relay"].period = 0
	m.others = 2
	result, err := keep(t, m, DefaultLimits())
	if err != nil || result.Keys != 3 || result.Looked != 3 || result.Others != 2 || result.Erased != 3 {
		t.Errorf("result is %+v, %v", result, err)
	}
	for name, want := range map[string]int{"gone.acme-relay": 3, "dead.shop-relay": 2, "live.globex-relay": 0} {
		if got := m.keys[name].available; got != want {
			t.Errorf("of %s what is below version %d was destroyed, want %d: %v", name, got, want, m.keys[name].log)
		}
	}
	if m.keys["gone.acme-relay"].period != 0 {
		t.Error("the keeper set a rotation")
	}
	if want := m.keys["live.globex-relay"].created[0]; result.OldestKeyTime == nil || !result.OldestKeyTime.Equal(want) {
		t.Errorf("the oldest time is %v", result.OldestKeyTime)
	}
}

func TestKeepNeverLowersAMinimum(t *testing.T) {
	for oldest := range 4 {
		v := newTransit(2000, 1500, 1000, 10)
		v.decryption, v.encryption, v.available = oldest+1, 4, oldest
		if _, err := keep(t, mountOf(map[string]*transit{"a.b-relay": v}), DefaultLimits()); err != nil {
			t.Fatal(err)
		}
		if v.decryption < oldest+1 || v.decryption != 4 || v.available != 4 || v.encryption != 4 {
			t.Errorf("from %d: decryption %d, encryption %d, available %d", oldest+1, v.decryption, v.encryption, v.available)
		}
	}
}

func TestKeepIsStoppedByNoBadKey(t *testing.T) {
	m := mountOf(map[string]*transit{})
	for i := range 20 {
		m.keys[fmt.Sprintf("n%d.x-relay", i)] = newTransit(2000, 10)
	}
	m.failed["n3.x-relay"], m.failed["n4.x-relay"] = vault.ErrForeignContent, vault.ErrDenied
	m.failed["n5.x-relay"] = fmt.Errorf("reading: %w", vault.ErrNotFound) // erased since
	m.hangs = "n7.x-relay"
	limits := DefaultLimits()
	limits.KeyTime = 20 * time.Millisecond
	var log bytes.Buffer
	result, err := Keep(t.Context(), m, limits, 0, slog.New(slog.NewTextHandler(&log, nil)))
	if !errors.Is(err, errKeys) || result.Looked != 20 || result.Failed != 3 || result.Erased != 16 || result.Left != 0 {
		t.Errorf("result is %+v, %v", result, err)
	}
	if strings.Contains(result.Message, "x-relay") || !strings.Contains(log.String(), "n3.x-relay") {
		t.Errorf("the message is %q, the log %s", result.Message, log.String())
	}
}

func TestKeepGivesUpWhenVaultIsAway(t *testing.T) {
	m := mountOf(map[string]*transit{})
	for i := range 1000 {
		name := fmt.Sprintf("n%d.x-relay", i)
		m.keys[name], m.failed[name] = newTransit(10), vault.ErrSealed
	}
	result, err := keep(t, m, DefaultLimits())
	if !errors.Is(err, vault.ErrSealed) || result.Reason != "VaultSealed" || result.Looked != 5 || result.Left != 995 {
		t.Errorf("result is %+v, %v", result, err)
	}
	m.away = vault.ErrUnavailable
	if result, err := keep(t, m, DefaultLimits()); !errors.Is(err, vault.ErrUnavailable) || result.Reason != "VaultUnavailable" {
		t.Errorf("result is %+v, %v", result, err)
	}
}

// What one run's bound leaves is looked at by others: none begins where another did.
func TestKeepReachesEveryKeyInTheEndThoughARunIsBounded(t *testing.T) {
	m := mountOf(map[string]*transit{})
	for i := range 40 {
		m.keys[fmt.Sprintf("n%d.x-relay", i)] = newTransit(2000, 10)
	}
	limits := DefaultLimits()
	limits.Keys = 10
	for runs := 0; ; runs++ {
		result, err := keep(t, m, limits)
		if !errors.Is(err, errIncomplete) || result.Reason != "Incomplete" || result.Looked != 10 || result.Left != 30 {
			t.Fatalf("result is %+v, %v", result, err)
		}
		if !slices.ContainsFunc(slices.Collect(maps.Values(m.keys)), func(v *transit) bool { return v.available < 2 }) {
			break
		}
		if runs > 500 {
			t.Fatal("after 500 runs there is a key that none looked at")
		}
	}
}

func TestKeepEndsWithItsTime(t *testing.T) {
	m := mountOf(map[string]*transit{"a.b-relay": newTransit(10), "c.d-relay": newTransit(10)})
	m.hangs = "a.b-relay"
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	result, err := Keep(ctx, m, DefaultLimits(), 0, nil)
	if !errors.Is(err, context.DeadlineExceeded) || result.Succeeded || result.Left == 0 {
		t.Errorf("result is %+v, %v", result, err)
	}
}

func TestKeepersReportFitsATerminationMessage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	err := ReportKeeper(path, contract.KeeperResult{Version: 1, Keys: 1 << 40, Reason: strings.Repeat("R", 9000), Message: strings.Repeat("\x01é\"", 9000)})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var back contract.KeeperResult
	if err := json.Unmarshal(text, &back); err != nil || len(text) > maxReport || back.Keys != 1<<40 {
		t.Errorf("%d bytes, which read back as %v", len(text), err)
	}
}
