package serve

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/vault"
)

// lookBack is how many identities before the one in force are searched: counters are raised one
// by one, but may have been raised several times before a relay saw it.
const lookBack = 64

// found is the identity to run with.
type found struct {
	vault.Identity
	begin bool // its store must be made
}

// findIdentity reads the identity in force, or makes it. The rule is that nothing new replaces
// what is missing:
//
//	identity  store    wrapping key
//	yes       yes      yes           go on
//	yes       unused   no            go on: interrupted at the very first start
//	yes       yes      no            errKeyMissing
//	yes       no       yes           go on, and opening fails with store.ErrStoreMissing
//	yes       no       no            go on, make the store
//	no        no       no            the first start: make identity, store and key
//	no        yes      any           the counter was raised: make the identity after the store's
//	no        no       yes           the counter was raised to start over without the lost store
//
// In the last two cases there must be an earlier identity, else it returns errIdentityMissing.
func (r *relay) findIdentity(ctx context.Context) (found, error) {
	n := r.cfg.Rotation.Identity
	owner, err := r.ownerOfStore(ctx)
	if err != nil {
		return found{}, err
	}
	keyed, err := r.vault.HasKeys(ctx)
	if err != nil {
		return found{}, err
	}
	id, err := r.vault.ReadIdentity(ctx, n)
	switch {
	case err == nil && owner != nil && owner.Used && !keyed:
		clear(id.PrivateKey)
		return found{}, errKeyMissing
	case err == nil:
		return found{id, !keyed}, nil
	case !errors.Is(err, vault.ErrNotFound):
		return found{}, err
	case owner == nil && !keyed:
		id, err = r.vault.Identity(ctx, n, newIdentity)
		return found{id, true}, err
	}
	before, err := r.identityBefore(ctx, n, owner)
	if err != nil {
		return found{}, err
	}
	id, err = r.vault.IdentityAfter(ctx, n, before, newIdentity)
	return found{id, owner == nil}, err
}

// identityBefore finds the identity that the store belongs to or, without a store, the last one,
// from which the new one takes over everything but the store.
func (r *relay) identityBefore(ctx context.Context, n int, owner *store.Owner) (vault.Identity, error) {
	for m := n - 1; m >= max(1, n-lookBack); m-- {
		id, err := r.vault.ReadIdentity(ctx, m)
		clear(id.PrivateKey)
		switch {
		case errors.Is(err, vault.ErrNotFound):
			continue
		case err != nil:
			return vault.Identity{}, err
		case owner == nil:
			_, err := rand.Read(id.StoreID[:])
			return id, err
		case id.StoreID == owner.StoreID:
			return id, nil
		}
	}
	return vault.Identity{}, fmt.Errorf("looking for the identity before %d: %w", n, errIdentityMissing)
}
