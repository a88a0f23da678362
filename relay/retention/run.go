package retention

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// Vault is what the janitor may do with its tenant's wrapping key; *vault.Client
// does it.
type Vault interface {
	// Now returns Vault's clock.
	Now(ctx context.Context) (time.Time, error)
	// Key returns the key's state, or vault.ErrNotFound when there is no key.
	Key(ctx context.Context) (vault.KeyState, error)
	Rotate(ctx context.Context) error
	SetRotation(ctx context.Context, retention time.Duration) error
	SetMinimum(ctx context.Context, decryption, encryption int) error
	// Trim destroys, for good, the versions below the given one.
	Trim(ctx context.Context, below int) error
}

// attempts is how often a run starts over when another changed the key beneath it.
const attempts = 3

// Run does one pass of the janitor for a retention of so many days. Offset shifts
// Vault's clock, in tests; it is 0 in releases. The result says what was done also
// when err is not nil, and is fit to be shown: counts, versions and times.
func Run(ctx context.Context, v Vault, days int, offset time.Duration) (contract.RetentionResult, error) {
	result := contract.RetentionResult{Version: contract.RetentionResultVersion, RetentionDays: days}
	now, err := v.Now(ctx)
	if err != nil {
		return failed(result, err)
	}
	j := janitor{vault: v, retention: time.Duration(days) * 24 * time.Hour, next: now.Add(offset).Add(Interval)}
	result.Time = now.Add(offset)
	for range attempts {
		if err = j.pass(ctx); err == nil || !interrupted(err) {
			break
		}
	}
	result.Erased = j.erased
	if errors.Is(err, vault.ErrNotFound) {
		// The relay never started, or was erased: there is nothing to keep or destroy.
		result.Succeeded, result.Reason = true, "NoKey"
		result.Message = "the relay has made no key yet"
		return result, nil
	}
	if err != nil {
		return failed(result, err)
	}
	result.Succeeded = true
	result.LatestVersion, result.OldestVersion = j.state.Latest().Version, j.state.Oldest().Version
	result.OldestKeyTime = new(j.state.Oldest().Created)
	return result, nil
}

// janitor is one run's work.
type janitor struct {
	vault     Vault
	retention time.Duration
	next      time.Time // when the next run will be

	state  vault.KeyState // as read last
	erased int
}

// pass goes through the steps once. Each leaves a state from which any later pass
// goes on.
func (j *janitor) pass(ctx context.Context) error {
	if err := j.read(ctx); err != nil {
		return err
	}
	if j.state.AutoRotate != seal.Period(j.retention) {
		if err := j.vault.SetRotation(ctx, j.retention); err != nil {
			return fmt.Errorf("asserting the key's rotation: %w", err)
		}
	}
	p := decide(j.state, j.retention, j.next)
	if p.finishTrim != 0 {
		if err := j.trim(ctx, p.finishTrim); err != nil {
			return err
		}
	}
	if p.rotate {
		if err := j.vault.Rotate(ctx); err != nil {
			return fmt.Errorf("rotating a key that is due itself: %w", err)
		}
		if err := j.read(ctx); err != nil {
			return err
		}
		p.keep = j.state.Latest().Version
	}
	if err := j.retire(ctx, p.keep); err != nil {
		return err
	}
	if err := j.read(ctx); err != nil {
		return err
	}
	return j.verify(p.keep)
}

// retire destroys the versions below keep: first they are refused, which could be
// taken back, then destroyed, which could not.
func (j *janitor) retire(ctx context.Context, keep int) error {
	if keep > j.state.MinDecryption {
		if err := j.vault.SetMinimum(ctx, keep, j.state.Latest().Version); err != nil {
			return fmt.Errorf("refusing versions that are due: %w", err)
		}
	}
	if keep > max(j.state.MinAvailable, 1) {
		return j.trim(ctx, keep)
	}
	return nil
}

func (j *janitor) trim(ctx context.Context, below int) error {
	if err := j.vault.Trim(ctx, below); err != nil {
		return fmt.Errorf("destroying versions that are due: %w", err)
	}
	j.erased += below - max(j.state.MinAvailable, 1)
	j.state.MinAvailable = below
	return nil
}

func (j *janitor) read(ctx context.Context) error {
	state, err := j.vault.Key(ctx)
	if err != nil {
		return fmt.Errorf("reading the key's versions: %w", err)
	}
	j.state = state
	return nil
}

// errChanged means that what was read last is not what this run, or a later one
// beside it, can have left.
var errChanged = errors.New("the key's versions are not what this run left")

func (j *janitor) verify(keep int) error {
	if j.state.MinAvailable < keep && keep > 1 || j.state.Oldest().Version < keep {
		return errChanged
	}
	return nil
}

// interrupted says whether a pass may have failed because another janitor was at
// work: Vault refuses a step that the other was quicker with.
func interrupted(err error) bool {
	return errors.Is(err, errChanged) || errors.Is(err, vault.ErrForeignContent)
}

// failed fills in why a run failed.
func failed(result contract.RetentionResult, err error) (contract.RetentionResult, error) {
	result.Reason = reason(err)
	result.Message = err.Error()
	return result, err
}

// reason is a condition's word for an error.
func reason(err error) string {
	for _, r := range []struct {
		is   error
		word string
	}{
		{vault.ErrSealed, "VaultSealed"},
		{vault.ErrDenied, "VaultDenied"},
		{vault.ErrUnavailable, "VaultUnavailable"},
		{vault.ErrForeignContent, "VaultUnexpected"},
		{context.DeadlineExceeded, "TimedOut"},
		{context.Canceled, "Interrupted"},
	} {
		if errors.Is(err, r.is) {
			return r.word
		}
	}
	return "Failed"
}
