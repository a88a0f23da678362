package inbound

import (
	"strings"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/message/internal/quote"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/store"
)

// What a message says about others stands outside the encryption in Legacy: the carrier can forge it. So
// it counts only for messages of the same conversation that are stored. It never removes a word, unless
// what it removes repeats the answered message. In OMEMO2 it may stand inside; the same holds for it there,
// since it comes from a customer who can be mistaken, but the business is not told that it was in clear.

// references finds out which messages a text is about.
type references struct{ *base.Base }

// maxRecent is how many messages of each direction a quote is compared with.
const maxRecent = 32

// refer returns the text without its quote, if it has one that is told as an answer, and notes
// in body which messages this one is about. Outside says which of the references were not encrypted.
// Repeated says that the text repeats the words of the message that it answers.
func (s references) refer(tx *store.Tx, c store.Customer, refs carrier.References, outside omemo.Clear, text string, body *record.Content) (rest string, repeated bool, err error) {
	if refs.Corrects != "" {
		m, err := s.Received(tx, c.ID, refs.Corrects)
		if err != nil && !record.IsNotFound(err) {
			return text, false, err
		}
		if err == nil && correctable(m.Message.Type) {
			body.Corrects, body.CorrectsClear = m.ID, outside.Corrects
		}
	}
	rest, repeated, err = s.answers(tx, c, refs, text, body)
	body.ReplyClear = body.ReplyClear && outside.Reply
	if err == nil && rest != text {
		body.Whole = textHash(text)
	}
	return rest, repeated, err
}

// correctable says whether a text may replace a message of that type: a text, or one that
// could not be read. A file stays what it is.
func correctable(kind string) bool {
	return kind == "text" || kind == record.TypeEdit || kind == record.TypeUnsupported
}

// answers notes which message a message answers, and returns the text below its quote, and whether
// that repeats the answered message's words.
func (s references) answers(tx *store.Tx, c store.Customer, refs carrier.References, text string, body *record.Content) (rest string, repeated bool, err error) {
	answered, err := s.Named(tx, c.ID, refs.ReplyTo)
	if record.IsNotFound(err) {
		return s.quotes(tx, c, text, body)
	}
	if err != nil {
		return text, false, err
	}
	body.ReplyTo, body.ReplyOwn, body.ReplyClear = answered.ID, !answered.Ours(), true
	var length int
	if refs.Quote.Start == 0 {
		length = refs.Quote.End
	}
	q, ok := quote.In(text, length)
	if !ok {
		return text, false, nil
	}
	repeats, err := repeats(tx, q, answered)
	if err != nil || !repeats {
		return text, false, err // not what the answered message says: the business sees it as it is
	}
	return q.Rest, saysItself(answered), nil
}

// saysItself says whether the words of a message are all of it: it is no file, and no caption of one.
func saysItself(r base.Referenced) bool { return r.ID == r.Message.ID && r.Content.Media == nil }

// quotes looks for the only message, of those that were said last, that a text's quote repeats.
// The quote was encrypted with the text, and so is the answer.
func (s references) quotes(tx *store.Tx, c store.Customer, text string, body *record.Content) (rest string, repeated bool, err error) {
	q, ok := quote.Of(text)
	if !ok {
		return text, false, nil
	}
	found := map[string]base.Referenced{} // by the id that the business knows
	for _, d := range s.mayHaveSaid(c, q.Author()) {
		if err := s.repeated(tx, c.ID, d, q, found); err != nil {
			return text, false, err
		}
	}
	if len(found) != 1 {
		return text, false, nil
	}
	for id, r := range found {
		body.ReplyTo, body.ReplyOwn, repeated = id, !r.Ours(), saysItself(r)
	}
	return q.Rest, repeated, nil
}

// repeated adds to found the messages of one direction, of those that were said last, that a
// quote repeats.
func (s references) repeated(tx *store.Tx, c store.CustomerID, d store.Direction, q quote.Quote, found map[string]base.Referenced) error {
	recent, err := tx.MessagesOf(c, d, s.Now(), maxRecent)
	for _, m := range recent {
		r, err := base.ReferencedBy(m)
		if record.IsNotFound(err) || m.Type == record.TypeReaction {
			continue
		}
		if err != nil {
			return err
		}
		same, err := repeats(tx, q, r)
		if err != nil {
			return err
		}
		if same {
			found[r.ID] = r
		}
	}
	return err
}

// mayHaveSaid returns which direction the quoted words can have had: a quote that names an
// address means that address's words.
func (s references) mayHaveSaid(c store.Customer, author string) []store.Direction {
	switch {
	case strings.Contains(author, s.Webhook.Phone.Digits()):
		return []store.Direction{store.Outbound}
	case isAuthor(author, c.Number):
		return []store.Direction{store.Inbound}
	}
	return []store.Direction{store.Outbound, store.Inbound}
}

// isAuthor says whether a quote names somebody's address: their number wherever it stands in it, but a
// name only as the whole or before the @, for a short one is part of many others.
func isAuthor(author string, n phone.Number) bool {
	if d := n.Digits(); d != "" {
		return strings.Contains(author, d)
	}
	local, _, _ := strings.Cut(strings.TrimPrefix(author, "xmpp:"), "@")
	return strings.EqualFold(local, n.Local())
}

// repeats says whether a quote repeats a message.
func repeats(tx *store.Tx, q quote.Quote, r base.Referenced) (bool, error) {
	words, _, err := r.Words(tx)
	for _, w := range words {
		if q.Repeats(w) {
			return true, err
		}
	}
	return false, err
}
