package person

import (
	"context"
	"fmt"
	"time"

	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/store"
)

// ContactRequest is the relay's request to a customer to become a contact, which was not
// accepted yet.
type ContactRequest struct {
	Number   phone.Number
	UserID   string
	Since    time.Time // when the customer was asked
	Declined time.Time // zero: not answered yet
	Waiting  int       // messages that wait for the answer
	// Cursor is for ContactRequests: it returns what comes behind this one.
	Cursor store.CustomerID
}

// ContactRequests returns at most limit requests that were not accepted: those behind a cursor,
// or from the first if it is zero.
func (s *People) ContactRequests(ctx context.Context, after store.CustomerID, limit int) (open []ContactRequest, err error) {
	err = s.Store.View(ctx, func(tx *store.Tx) error {
		open = nil
		customers, err := tx.CustomersAfter(after, limit, func(c store.Customer) bool { return !c.Asked.IsZero() })
		if err != nil {
			return err
		}
		for _, c := range customers {
			waiting, err := s.WaitingOf(tx, c.ID)
			if err != nil {
				return err
			}
			open = append(open, ContactRequest{c.Number, c.UserID, c.Asked, c.Declined, len(waiting), c.ID})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the contact requests: %w", err)
	}
	for i, r := range open {
		if r.UserID != "" {
			continue
		}
		if open[i].UserID, err = s.UserOf(ctx, r.Cursor); err != nil { // a row from before user ids
			return nil, fmt.Errorf("reading the contact requests: %w", err)
		}
	}
	return open, nil
}

// detail says why a message to a customer is in its state, where the state does not say it.
func detail(c store.Customer, m store.Message) string {
	if m.Direction != store.Outbound || m.State != record.StateAccepted || c.Asked.IsZero() || !c.Declined.IsZero() {
		return ""
	}
	return "The message waits until the recipient accepts the business's contact request: their client shows its keys only to contacts."
}
