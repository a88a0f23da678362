package inbound

import (
	"unicode/utf8"

	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/rich"
	"github.com/relaykeep/relaykeep/relay/store"
)

// maxChoice is how long a text may be that is a choice, in characters: its line with number, title and
// description, as the business's message has it.
const maxChoice = 160

// understand notes in body what a text means that stands for what OMEMO has no form for: a place, or an
// answer that a message offered.
func (s references) understand(tx *store.Tx, c store.Customer, text string, body *record.Content) error {
	if body.Corrects != "" || utf8.RuneCountInString(text) > maxChoice {
		return nil
	}
	if p, err := rich.ParsePlace(text); err == nil {
		body.Place = &p
		return nil
	}
	id := c.Offer
	if body.ReplyTo != "" {
		id = body.ReplyTo
	}
	if id == "" || body.ReplyOwn || body.ReplyClear && id != c.Offer {
		return nil // the carrier must not decide which of two questions a "yes" answers
	}
	m, err := tx.Message(id)
	if record.IsNotFound(err) || err == nil && (m.Direction != store.Outbound || m.Customer != c.ID) {
		return nil
	}
	if err != nil {
		return err
	}
	offer, err := record.ContentOf(m)
	if err != nil {
		return nil //nolint:nilerr // a damaged message offers nothing
	}
	chosen, ok := rich.ByTitle(offer.Choices, text)
	if !ok {
		if chosen, ok = rich.ByNumber(offer.Choices, text); ok && (body.ReplyTo == "" || body.ReplyClear) {
			ok, err = s.last(tx, m)
		}
	}
	if ok && err == nil {
		body.ReplyTo, body.Chosen = m.ID, &record.Chosen{Choice: chosen, Kind: offer.ChoiceKind}
	}
	return err
}

// last says whether a message is the last one that the business sent to its customer: a number alone is
// about that one.
func (s references) last(tx *store.Tx, m store.Message) (bool, error) {
	recent, err := tx.MessagesOf(m.Customer, store.Outbound, s.Now(), 1)
	return err == nil && len(recent) == 1 && recent[0].ID == m.ID, err
}
