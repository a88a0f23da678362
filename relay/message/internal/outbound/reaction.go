package outbound

import (
	"context"
	"fmt"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/message/internal/peers"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// OMEMO2 encrypts a reaction. Legacy cannot: unless the business allows metadata in clear, devices of Legacy
// get an encrypted text that a person understands, a reply that holds the emoji only.

// removedReaction is the text of a reaction that was removed.
const removedReaction = "(reaction removed)"

// Reaction is the business's reaction to a message.
type Reaction struct {
	To     phone.Number
	ToUser bool        // the business named To by user id
	About  string      // id of the message
	Emoji  string      // empty removes the reaction
	Opaque string      // comes back in its statuses
	Once   *store.Once // that of Text
}

// AcceptReaction stores a reaction and returns its id, as AcceptText does. A reaction to a
// message that is not stored, or not of this conversation, fails.
func (s *Outbound) AcceptReaction(ctx context.Context, r Reaction) (string, error) {
	now := s.Now()
	m := store.Message{
		ID: store.NewMessageID(), Direction: store.Outbound, Type: record.TypeReaction, CarrierID: store.NewCarrierID(),
		State: record.StateAccepted, Opaque: r.Opaque, Created: now, Updated: now,
	}
	to := addressee{Outbound: s}
	err := s.Store.Update(ctx, s.Once(r.Once, m.ID, func(tx *store.Tx) error {
		c, err := to.find(tx, r.To)
		if err != nil {
			return err
		}
		m.Customer = c.ID
		return s.PutTask(tx, m, record.Content{Text: r.Emoji, ToUser: r.ToUser, ReplyTo: r.About}, record.KindReaction)
	}))
	if err != nil {
		to.undo()
		return "", fmt.Errorf("accepting a reaction: %w", s.OutQuota(err))
	}
	s.Counts.Add(base.EventAccepted)
	return m.ID, nil
}

// reactsInClear says whether a message is a reaction that goes in clear: the business allows that, and the
// customer has a device to which it cannot be sent inside the encryption.
func (s *Outbound) reactsInClear(ctx context.Context, c store.Customer, m store.Message, body record.Content) (bool, error) {
	if !s.mayReactInClear(m, body) {
		return false, nil
	}
	devices, err := s.recipients(ctx, c, body)
	switch {
	case peers.IsUnreachable(err):
		return true, nil
	case err != nil:
		return false, err
	}
	p, _, err := s.peers.Choose(ctx, c, devices)
	return !p.Only(carrier.OMEMO2), err
}

// mayReactInClear says whether a message is a reaction that may go in clear.
func (s *Outbound) mayReactInClear(m store.Message, body record.Content) bool {
	return m.Type == record.TypeReaction && s.ClearMetadata && body.Envelope == nil
}

// sendReaction sends a reaction in clear.
func (s *Outbound) sendReaction(ctx context.Context, c store.Customer, m store.Message, body record.Content, to answered) error {
	if to.refs.ReplyTo == "" {
		return fails(unknownMessage())
	}
	err := s.Carrier.SendReaction(ctx, carrier.OutgoingReaction{ID: m.CarrierID, To: c.Number, About: to.refs.ReplyTo, Emoji: body.Text})
	if err != nil {
		return fmt.Errorf("sending a reaction: %w", err)
	}
	return nil
}

// wording returns the text to encrypt for a message.
func wording(m store.Message, body record.Content) string {
	if m.Type == record.TypeReaction && body.Text == "" {
		return removedReaction
	}
	return body.Text
}

func unknownMessage() webhook.Error {
	return webhook.InvalidValue("reaction.message_id names no message of this conversation that the relay still stores.")
}
