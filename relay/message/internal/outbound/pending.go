package outbound

import (
	"context"
	"slices"

	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/store"
)

// pending reads a message that must be sent and is still in the given state. A receipt means
// that the customer has it, even when the carrier never acknowledged it.
func (s *Outbound) pending(ctx context.Context, id, state string) (m store.Message, body record.Content, err error) {
	err = s.Store.View(ctx, func(tx *store.Tx) error {
		m, body, err = pendingIn(tx, id, state)
		return err
	})
	return m, body, record.Gone(err)
}

// pendingIn is pending within a transaction, for any of some states. It returns
// store.ErrNotFound when there is nothing to send.
func pendingIn(tx *store.Tx, id string, states ...string) (m store.Message, body record.Content, err error) {
	if m, err = tx.Message(id); err != nil {
		return m, body, err
	}
	if body, err = record.ContentOf(m); err != nil {
		return m, body, err
	}
	goes, err := goesWith(tx, body.With)
	if err == nil && (!goes || !slices.Contains(states, m.State)) {
		err = store.ErrNotFound
	}
	return m, body, err
}

// goesWith says whether a message that belongs to another must still be sent.
func goesWith(tx *store.Tx, id string) (bool, error) {
	if id == "" {
		return true, nil
	}
	m, err := tx.Message(id)
	if record.IsNotFound(err) {
		return false, nil
	}
	return err == nil && m.State != record.StateFailed, err
}

// cameBack says whether a message came back and the carrier does not have it again yet.
func cameBack(m store.Message) (bool, error) {
	if m.State != record.StateSent {
		return false, nil
	}
	body, err := record.ContentOf(m)
	return body.Waits, err
}
