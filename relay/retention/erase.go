package retention

import (
	"context"
	"errors"
	"fmt"
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
}

// Erase destroys everything that Vault holds of a tenant: first the keys, which makes everything
// that was ever sealed unreadable, then the secrets that Vault lists, then the carrier account.
// The amount of work depends on what is there and not on the rotation counters, which anybody who
// may write the BusinessRelay can raise. If it was interrupted, running it again finishes the
// work. Account, when not nil, is called before the carrier account's secret is destroyed, to
// remove the account at the carrier. Erase returns how many secrets it destroyed.
func Erase(ctx context.Context, v Eraser, account func(context.Context) error) (int, error) {
	if err := v.DeleteKeys(ctx); err != nil {
		return 0, fmt.Errorf("erasing the keys: %w", err)
	}
	count, hasCarrier, failed := eraseSecrets(ctx, v)
	if account != nil {
		if err := account(ctx); err != nil {
			return count, errors.Join(failed, fmt.Errorf("removing the carrier account: %w", err))
		}
	}
	if err := v.DeleteSecret(ctx, secretCarrier); err != nil {
		failed = errors.Join(failed, fmt.Errorf("erasing the carrier account: %w", err))
	} else if hasCarrier {
		count++
	}
	return count, failed
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
