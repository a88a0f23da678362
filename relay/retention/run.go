package retention

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/receipt"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// Key is what janitor and keeper may do with a wrapping key.
type Key interface {
	// Key returns the key's state, or vault.ErrNotFound when there is no key.
	Key(ctx context.Context) (vault.KeyState, error)
	Rotate(ctx context.Context) error
	SetMinimum(ctx context.Context, decryption, encryption int) error
	// Trim destroys, for good, the versions below the given one.
	Trim(ctx context.Context, below int) error
}

// Vault is what the janitor may do with its tenant's wrapping key; *vault.Client is one.
type Vault interface {
	Key
	// Now returns Vault's clock.
	Now(ctx context.Context) (time.Time, error)
	SetRotation(ctx context.Context, retention time.Duration) error
	// Carried lists the data keys that the relay brought from another region.
	Carried(ctx context.Context) ([]vault.CarriedKey, error)
	// DropCarried destroys one of them, for good.
	DropCarried(ctx context.Context, key vault.CarriedKey) error
	// CreateReceipt puts a receipt, which nobody but an admin can change or remove.
	CreateReceipt(ctx context.Context, r receipt.Receipt) error
}

// attempts is how often a run starts over when another run changed the key meanwhile.
const attempts = 3

// Run does one pass of the janitor for a retention of so many days. Offset shifts Vault's clock,
// in tests; it is 0 in releases. The result says what was done, also when err is not nil. It may
// be shown: it has only counts, versions and times.
func Run(ctx context.Context, v Vault, days int, offset time.Duration) (contract.RetentionResult, error) {
	result := contract.RetentionResult{Version: contract.RetentionResultVersion, RetentionDays: days}
	now, err := v.Now(ctx)
	if err != nil {
		return failed(result, err)
	}
	retention := time.Duration(days) * 24 * time.Hour
	j := newPass(v, v.Now, retention, now, offset)
	j.assert = func(ctx context.Context) error {
		if j.state.AutoRotate == seal.Period(retention) {
			return nil
		}
		if err := v.SetRotation(ctx, retention); err != nil {
			return fmt.Errorf("asserting the key's rotation: %w", err)
		}
		return nil
	}
	result.Time = now.Add(offset)
	err = j.run(ctx)
	result.Erased = j.erased
	carried, dropped, carriedErr := dropCarried(ctx, v, &j)
	result.Erased += dropped
	if gone := errors.Is(err, vault.ErrNotFound); err == nil || gone && dropped > 0 {
		result.Receipt = putReceipt(ctx, j.receipt(gone), v.CreateReceipt)
	}
	if carriedErr != nil && (err == nil || errors.Is(err, vault.ErrNotFound)) {
		return failed(result, carriedErr)
	}
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
	oldest := j.state.Oldest().Created
	if !carried.IsZero() && carried.Before(oldest) {
		oldest = carried
	}
	result.OldestKeyTime = new(oldest)
	return result, nil
}

// dropCarried destroys the data keys from another region that are due, as a version of the wrapping key from then would be.
// It returns since when the oldest of the others counts, the zero time if there is none.
func dropCarried(ctx context.Context, v Vault, j *pass) (oldest time.Time, dropped int, err error) {
	keys, err := v.Carried(ctx)
	if err != nil {
		err = fmt.Errorf("listing the data keys from another region: %w", err)
	}
	for _, key := range keys {
		if !key.Created.Add(j.retention).After(j.next) {
			if failed := v.DropCarried(ctx, key); failed != nil {
				err = errors.Join(err, fmt.Errorf("destroying a data key from another region: %w", failed))
				continue
			}
			dropped++
			j.said.AddCarried(key.Created)
			continue
		}
		if oldest.IsZero() || key.Created.Before(oldest) {
			oldest = key.Created
		}
	}
	return oldest, dropped, err
}

// pass is one run's work on one key.
type pass struct {
	key       Key
	retention time.Duration
	next      time.Time                   // when the next run will be
	assert    func(context.Context) error // further settings to ensure; nil for none
	now       func(context.Context) (time.Time, error)

	state  vault.KeyState // as read last
	erased int
	said   receipt.Receipt // what was destroyed, and when
}

// newPass is a pass that begins now, by Vault's clock, which offset shifts in tests.
func newPass(key Key, clock func(context.Context) (time.Time, error), retention time.Duration, now time.Time, offset time.Duration) pass {
	now = now.Add(offset)
	return pass{
		key: key, retention: retention, next: now.Add(Interval),
		now: func(ctx context.Context) (time.Time, error) {
			now, err := clock(ctx)
			return now.Add(offset), err
		},
		said: receipt.Receipt{Version: receipt.Version, Began: now.UTC(), Time: now.UTC()},
	}
}

// run does the steps, and starts over when another run changed the key meanwhile.
func (j *pass) run(ctx context.Context) (err error) {
	for range attempts {
		if err = j.once(ctx); err == nil || !interrupted(err) {
			break
		}
	}
	return err
}

// once does the steps once. Each leaves a state from which any later pass can continue.
func (j *pass) once(ctx context.Context) error {
	if err := j.read(ctx); err != nil {
		return err
	}
	if j.assert != nil {
		if err := j.assert(ctx); err != nil {
			return err
		}
	}
	p := decide(j.state, j.retention, j.next)
	if p == (plan{keep: j.state.Oldest().Version}) {
		return nil // nothing is due
	}
	if p.finishTrim != 0 {
		if err := j.trim(ctx, p.finishTrim); err != nil {
			return err
		}
	}
	if p.rotate {
		if err := j.key.Rotate(ctx); err != nil {
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
	// Before what is left is read: a receipt of a later time then never says less than one of an earlier time.
	if now, err := j.now(ctx); err == nil { // else the receipt's time stays the run's begin
		j.said.Time = now.UTC()
	}
	if err := j.read(ctx); err != nil {
		return err
	}
	return j.verify(p.keep)
}

// retire destroys the versions below keep. First Vault refuses them, which could be undone; then
// it destroys them, which could not.
func (j *pass) retire(ctx context.Context, keep int) error {
	if keep > j.state.MinDecryption {
		if err := j.key.SetMinimum(ctx, keep, j.state.Latest().Version); err != nil {
			return fmt.Errorf("refusing versions that are due: %w", err)
		}
	}
	if keep > max(j.state.MinAvailable, 1) {
		return j.trim(ctx, keep)
	}
	return nil
}

func (j *pass) trim(ctx context.Context, below int) error {
	if err := j.key.Trim(ctx, below); err != nil {
		return fmt.Errorf("destroying versions that are due: %w", err)
	}
	from := max(j.state.MinAvailable, 1)
	j.erased += below - from
	j.noteDestroyed(from, below)
	j.state.MinAvailable = below
	return nil
}

func (j *pass) read(ctx context.Context) error {
	state, err := j.key.Key(ctx)
	if err != nil {
		return fmt.Errorf("reading the key's versions: %w", err)
	}
	j.state = state
	return nil
}

// errChanged means that neither this run nor a later one beside it can have left the state that
// was read last.
var errChanged = errors.New("the key's versions are not what this run left")

func (j *pass) verify(keep int) error {
	if j.state.MinAvailable < keep && keep > 1 || j.state.Oldest().Version < keep {
		return errChanged
	}
	return nil
}

// interrupted says whether a pass may have failed because another janitor ran: Vault refuses a
// step that the other one did first.
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
		{errIncomplete, "Incomplete"},
		{context.DeadlineExceeded, "TimedOut"},
		{context.Canceled, "Interrupted"},
	} {
		if errors.Is(err, r.is) {
			return r.word
		}
	}
	return "Failed"
}
