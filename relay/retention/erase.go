package retention

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/relaykeep/relaykeep/relay/receipt"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// secretCarrier holds the carrier account's password.
const secretCarrier = "carrier"

// Eraser is what erasing a tenant needs; *vault.Client is one.
type Eraser interface {
	// DeleteKeys destroys the wrapping key and the settings key, if they exist.
	DeleteKeys(ctx context.Context) error
	// Secrets lists the names of the tenant's secrets, as many as fit into one listing. With
	// an error it still returns what it found.
	Secrets(ctx context.Context) ([]string, error)
	// DeleteSecret destroys a secret, if it exists.
	DeleteSecret(ctx context.Context, name string) error
	// Now returns Vault's clock.
	Now(ctx context.Context) (time.Time, error)
	// Key returns the wrapping key's state, or vault.ErrNotFound when there is no key.
	Key(ctx context.Context) (vault.KeyState, error)
	// CreateReceipt puts a receipt, which outlives the tenant.
	CreateReceipt(ctx context.Context, r receipt.Receipt) error
}

// Erasure is what an erasure did.
type Erasure struct {
	Secrets int // that were destroyed
	// Receipt is contract.ReceiptWritten, or why the erasure left no receipt; empty when it did not get that far.
	Receipt string
}

// Erase destroys everything that Vault holds of a tenant: first the keys, which makes everything
// that was ever sealed unreadable, then the secrets that Vault lists, then the carrier account.
// The amount of work depends on what is there and not on the rotation counters, which anybody who
// may write the BusinessRelay can raise. If it was interrupted, running it again finishes the
// work. Account, when not nil, is called before the carrier account's secret is destroyed, to
// remove the account at the carrier. A receipt that cannot be put is no failure.
func Erase(ctx context.Context, v Eraser, account func(context.Context) error) (e Erasure, err error) {
	if e.Receipt, err = eraseKeys(ctx, v); err != nil {
		return e, fmt.Errorf("erasing the keys: %w", err)
	}
	var hasCarrier bool
	e.Secrets, hasCarrier, err = eraseSecrets(ctx, v)
	if account != nil {
		if failed := account(ctx); failed != nil {
			return e, errors.Join(err, fmt.Errorf("removing the carrier account: %w", failed))
		}
	}
	if failed := v.DeleteSecret(ctx, secretCarrier); failed != nil {
		err = errors.Join(err, fmt.Errorf("erasing the carrier account: %w", failed))
	} else if hasCarrier {
		e.Secrets++
	}
	return e, err
}

// eraseKeys destroys the keys, sees that the wrapping key is gone, and leaves a receipt of that, also when it was gone before.
func eraseKeys(ctx context.Context, v Eraser) (outcome string, err error) {
	r := receipt.Receipt{Version: receipt.Version, Deleted: true}
	r.Began, _ = v.Now(ctx) // without the times there is no receipt
	if state, err := v.Key(ctx); err == nil {
		r.Latest, r.Below = state.Latest().Version, max(state.MinAvailable, 1)
		r.AddDestroyed(receipt.Range{From: r.Below, Below: r.Latest + 1, Newest: new(state.Latest().Created)})
	}
	if err := v.DeleteKeys(ctx); err != nil {
		return "", err
	}
	if r.Time, err = v.Now(ctx); err != nil {
		return reason(err), nil
	}
	if _, err := v.Key(ctx); !errors.Is(err, vault.ErrNotFound) {
		return reason(err), nil // the keys are deleted; only the receipt is missing
	}
	return putReceipt(ctx, r, v.CreateReceipt), nil
}

// eraseSecrets destroys every secret but the carrier account's. It lists again until nothing else
// is left. A secret that cannot be destroyed does not stop the others.
func eraseSecrets(ctx context.Context, v Eraser) (count int, hasCarrier bool, failed error) {
	for {
		names, err := v.Secrets(ctx)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("listing the secrets: %w", err))
		}
		more := false
		for _, name := range names {
			if name == secretCarrier {
				hasCarrier = true
				continue
			}
			if err := v.DeleteSecret(ctx, name); err != nil {
				failed = errors.Join(failed, fmt.Errorf("erasing %s: %w", name, err))
				if ctx.Err() != nil {
					return count, hasCarrier, failed
				}
				continue
			}
			count++
			more = true
		}
		if !more || failed != nil {
			return count, hasCarrier, failed
		}
	}
}
