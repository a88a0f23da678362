package retention

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/relaykeep/relaykeep/api/contract"
)

// Eraser is what erasing a tenant takes; *vault.Client does it.
type Eraser interface {
	// DeleteKeys destroys the wrapping and the settings key; keys that are gone are
	// no error.
	DeleteKeys(ctx context.Context) error
	// DeleteSecret destroys a secret; nothing there is no error.
	DeleteSecret(ctx context.Context, name string) error
}

// Erase destroys all that Vault holds of a tenant: first the keys, for with them
// everything that was ever sealed becomes unreadable, then the credentials and
// identities that the counters name, then the carrier account. The janitor may list
// nothing, so the counters say what there is. Run again it finishes what was
// interrupted. Account is called, when not nil, before the carrier account's secret
// goes, to end the account at the carrier.
func Erase(ctx context.Context, v Eraser, counters contract.Rotation, account func(context.Context) error) error {
	if err := v.DeleteKeys(ctx); err != nil {
		return fmt.Errorf("erasing the keys: %w", err)
	}
	var errs []error
	remove := func(kind string, count int) {
		for n := 1; n <= max(count, 1); n++ {
			if err := v.DeleteSecret(ctx, kind+"/"+strconv.Itoa(n)); err != nil {
				errs = append(errs, fmt.Errorf("erasing %s %d: %w", kind, n, err))
			}
		}
	}
	remove("access", counters.Access)
	remove("identity", counters.Identity)
	if account != nil {
		if err := account(ctx); err != nil {
			return errors.Join(append(errs, fmt.Errorf("ending the carrier account: %w", err))...)
		}
	}
	if err := v.DeleteSecret(ctx, "carrier"); err != nil {
		errs = append(errs, fmt.Errorf("erasing the carrier account: %w", err))
	}
	return errors.Join(errs...)
}

// Lister is an Eraser that may also list what there is: an admin's login.
type Lister interface {
	Eraser
	// Secrets lists the names of the tenant's secrets.
	Secrets(ctx context.Context) ([]string, error)
}

// EraseAll is Erase for who needs no counters to know what there is. It returns how
// many secrets went beside the keys.
func EraseAll(ctx context.Context, v Lister) (int, error) {
	if err := v.DeleteKeys(ctx); err != nil {
		return 0, fmt.Errorf("erasing the keys: %w", err)
	}
	names, err := v.Secrets(ctx)
	if err != nil {
		return 0, fmt.Errorf("listing what is left: %w", err)
	}
	for i, name := range names {
		if err := v.DeleteSecret(ctx, name); err != nil {
			return i, fmt.Errorf("erasing %s: %w", name, err)
		}
	}
	return len(names), nil
}
