package retention

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/receipt"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// MaxRetention is the longest time for which any relay may keep anything. No relay needs a
// version of its wrapping key that is older.
const MaxRetention = 30 * 24 * time.Hour

// Region is what the keeper may do in a region's transit mount. RegionAt makes one.
type Region interface {
	// Now returns Vault's clock.
	Now(ctx context.Context) (time.Time, error)
	// WrappingKeys lists wrapping keys by name, and counts the mount's other keys.
	WrappingKeys(ctx context.Context) (names []string, others int, err error)
	// Key returns one of those keys.
	Key(name string) Key
	// CreateReceipt puts a receipt for the tenant of one of those keys.
	CreateReceipt(ctx context.Context, name string, r receipt.Receipt) error
}

// RegionAt is the region that a keeper's client reaches.
func RegionAt(k *vault.Keeper) Region { return region{k} }

type region struct{ *vault.Keeper }

func (r region) Key(name string) Key { return r.Keeper.Key(name) }

// Limits bound one run of the keeper. What a run does not reach, later runs do: each begins with
// another key.
type Limits struct {
	Keys       int           // how many keys are examined
	KeyTime    time.Duration // for one key
	Unanswered int           // for how many keys in a row Vault may not answer before a run gives up
}

// DefaultLimits are far above what a region has, and end a run whose Vault does not answer.
func DefaultLimits() Limits {
	return Limits{Keys: 50_000, KeyTime: 30 * time.Second, Unanswered: 5}
}

// Keep does one run of the keeper of last resort: whatever happened to a relay, its namespace or
// its janitor, no version of its wrapping key stays that would be older than MaxRetention by the
// next run. A key that fails does not stop the others. The result may be shown, since it names no
// tenant; log, which may be nil, gets the names of the keys that failed. Offset shifts Vault's
// clock, in tests; it is 0 in releases.
func Keep(ctx context.Context, r Region, limits Limits, offset time.Duration, log *slog.Logger) (contract.KeeperResult, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	k := keeper{region: r, limits: limits, log: log, offset: offset}
	k.result.Version = contract.KeeperResultVersion
	err := k.run(ctx)
	k.result.Succeeded = err == nil
	if err != nil {
		k.result.Reason, k.result.Message = reason(err), err.Error()
	}
	return k.result, err
}

// keeper is one run's work.
type keeper struct {
	region Region
	limits Limits
	log    *slog.Logger
	now    time.Time // Vault's, when the run began
	offset time.Duration
	result contract.KeeperResult
	first  error // of a key
}

// Errors of a run that did not do everything that it should have.
var (
	errIncomplete = errors.New("not every wrapping key was examined in this run")
	errKeys       = errors.New("some wrapping keys could not be processed: the run's log names them")
)

func (k *keeper) run(ctx context.Context) error {
	now, err := k.region.Now(ctx)
	if err != nil {
		return err
	}
	k.now, k.result.Time = now, now.Add(k.offset)
	names, others, err := k.region.WrappingKeys(ctx)
	if err != nil && len(names) == 0 {
		return fmt.Errorf("listing the wrapping keys: %w", err)
	}
	k.first = err // an odd name among them must not hide the others
	k.result.Keys, k.result.Others = len(names), others
	k.each(ctx, names)
	k.result.Left = k.result.Keys - k.result.Looked
	cause := k.first
	if ctx.Err() != nil {
		cause = ctx.Err()
	}
	switch {
	case k.result.Left > 0 && cause == nil:
		return errIncomplete
	case k.result.Left > 0:
		return fmt.Errorf("%w: %w", errIncomplete, cause)
	case cause != nil:
		return fmt.Errorf("%w: %w", errKeys, cause)
	}
	return nil
}

// each processes the keys, beginning at a random one, so that runs that end early leave different
// keys each time.
func (k *keeper) each(ctx context.Context, names []string) {
	if len(names) == 0 {
		return
	}
	begin, unanswered := rand.IntN(len(names)), 0
	for i := range min(len(names), k.limits.Keys) {
		if ctx.Err() != nil || unanswered >= k.limits.Unanswered {
			return
		}
		name := names[(begin+i)%len(names)]
		err := k.one(ctx, name)
		if ctx.Err() != nil {
			return
		}
		k.result.Looked++
		if err == nil {
			unanswered = 0
			continue
		}
		k.result.Failed++
		if k.first == nil {
			k.first = err
		}
		k.log.LogAttrs(ctx, slog.LevelError, "a wrapping key could not be processed", slog.String("key", name), slog.Any("error", err))
		if errors.Is(err, vault.ErrUnavailable) || errors.Is(err, vault.ErrSealed) {
			unanswered++
		}
	}
}

// leaveReceipt puts the receipt of a key's versions. One that cannot be put does not make the run fail.
func (k *keeper) leaveReceipt(ctx context.Context, name string, r receipt.Receipt) {
	outcome := putReceipt(ctx, r, func(ctx context.Context, r receipt.Receipt) error {
		return k.region.CreateReceipt(ctx, name, r)
	})
	if k.result.Receipt == "" || k.result.Receipt == contract.ReceiptWritten {
		k.result.Receipt = outcome
	}
}

// one destroys a key's old versions.
func (k *keeper) one(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, k.limits.KeyTime)
	defer cancel()
	p := newPass(k.region.Key(name), k.region.Now, MaxRetention, k.now, k.offset)
	err := p.run(ctx)
	k.result.Erased += p.erased
	if err == nil && p.erased > 0 {
		k.leaveReceipt(ctx, name, p.receipt(false))
	}
	if errors.Is(err, vault.ErrNotFound) {
		return nil // it was erased after it was listed
	}
	if err != nil {
		return err
	}
	if oldest := p.state.Oldest().Created; k.result.OldestKeyTime == nil || oldest.Before(*k.result.OldestKeyTime) {
		k.result.OldestKeyTime = &oldest
	}
	return nil
}
