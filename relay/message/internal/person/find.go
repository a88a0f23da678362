package person

import (
	"context"
	"errors"
	"fmt"

	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
)

// Find returns how the carrier knows the customer with that user id, or ErrUnknownCustomer.
func (s *People) Find(ctx context.Context, user string) (n phone.Number, err error) {
	err = s.Store.View(ctx, func(tx *store.Tx) error {
		c, err := tx.CustomerByUser(user)
		n = c.Number
		return err
	})
	switch {
	case record.IsNotFound(err):
		return phone.Number{}, ErrUnknownCustomer
	case err != nil:
		return phone.Number{}, fmt.Errorf("looking for a user id: %w", err)
	}
	return n, nil
}

// UserIDs returns the user ids of customers in the same order; those of who is no customer are empty.
func (s *People) UserIDs(ctx context.Context, numbers []phone.Number) ([]string, error) {
	users := make([]string, len(numbers))
	ids := make([]store.CustomerID, len(numbers))
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		for i, n := range numbers {
			c, err := tx.Customer(n)
			if err != nil && !record.IsNotFound(err) && !errors.Is(err, seal.ErrTampered) {
				return err
			}
			users[i], ids[i] = c.UserID, c.ID
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("looking for user ids: %w", err)
	}
	for i, id := range ids {
		if users[i] != "" || id == 0 {
			continue
		}
		if users[i], err = s.UserOf(ctx, id); err != nil { // a row from before user ids
			return nil, fmt.Errorf("looking for user ids: %w", err)
		}
	}
	return users, nil
}
