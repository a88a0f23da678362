package inbound

import (
	"unicode/utf8"

	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/rich"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
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
	id, encrypted := c.Offer, false
	if body.ReplyTo != "" {
		id, encrypted = body.ReplyTo, !body.ReplyClear
	}
	if id == "" || body.ReplyOwn || !encrypted && id != c.Offer {
		return nil // the carrier must not name the question that a "yes" answers
	}
	m, err := tx.Message(id)
	if record.IsNotFound(err) || err == nil && (m.Customer != c.ID || !asked(m.State)) {
		return nil
	}
	if err != nil {
		return err
	}
	offer, err := record.ContentOf(m)
	if err != nil {
		return nil //nolint:nilerr // a damaged message offers nothing
	}
	chosen, ok := rich.Find(offer.Choices, text)
	if ok && !encrypted {
		ok, err = s.last(tx, m)
	}
	if ok && err == nil {
		body.ReplyTo, body.Chosen, body.Borrowed = m.ID, &webhook.Chosen{Choice: chosen, Kind: offer.ChoiceKind}, offer.Life
	}
	return err
}

// asked says whether a message of that state went out, so that the customer may have seen it.
func asked(state string) bool {
	return state == record.StateSent || state == record.StateDelivered || state == record.StateRead
}

// maxBetween is how many messages that ask nothing may follow an offer: reactions, captions and notices.
const maxBetween = 8

// last says whether a message is the last one that the business said to its customer: what names no
// question answers that one.
func (s references) last(tx *store.Tx, m store.Message) (bool, error) {
	recent, err := tx.MessagesOf(m.Customer, store.Outbound, s.Now(), maxBetween)
	for _, r := range recent {
		switch r.Type {
		case record.TypeReaction, record.TypeCaption, record.TypeNotice:
		default:
			return r.ID == m.ID, err
		}
	}
	return false, err
}
