package retention

import (
	"context"
	"errors"
	"fmt"
)

// secretCarrier holds the carrier account's password.
const secretCarrier = "carrier"

// Eraser is what erasing a tenant takes; *vault.Client does it.
type Eraser interface {
	// DeleteKeys destroys the wrapping and the settings key; keys that are gone are
	// no error.
	DeleteKeys(ctx context.Context) error
	// Secrets lists the names of the tenant's secrets, or as many as one listing
	// holds. What it found it returns also with an error.
	Secrets(ctx context.Context) ([]string, error)
	// DeleteSecret destroys a secret; nothing there is no error.
	DeleteSecret(ctx context.Context, name string) error
}

// Erase destroys all that Vault holds of a tenant: first the keys, for with them
// everything that was ever sealed becomes unreadable, then the secrets that Vault
// lists, then the carrier account. What is there decides how much work that is, not
// the counters of rotations, which anybody who may write the BusinessRelay can raise.
// Run again it finishes what was interrupted. Account is called, when not nil, before
// the carrier account's secret goes, to end the account at the carrier. Erase returns
// how many secrets went.
func Erase(ctx context.Context, v Eraser, account func(context.Context) error) (int, error) {
	if err := v.DeleteKeys(ctx); err != nil {
		return 0, fmt.Errorf("erasing the keys: %w", err)
	}
	count, hasCarrier, failed := eraseSecrets(ctx, v)
	if account != nil {
		if err := account(ctx); err != nil {
			return count, errors.Join(failed, fmt.Errorf("ending the carrier account: %w", err))
		}
	}
	if err := v.DeleteSecret(ctx, secretCarrier); err != nil {
		failed = errors.Join(failed, fmt.Errorf("erasing the carrier account: %w", err))
	} else if hasCarrier {
		count++
	}
	return count, failed
}

// eraseSecrets destroys every secret but the carrier account's, listing again until
// nothing else is left. One that cannot be destroyed stops none of the others.
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
