package outbound

import (
	"context"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/message/internal/quote"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/store"
)

// answered is what a message answers, which is encrypted in OMEMO2 and in clear in Legacy, and the quote
// for clients that do not read that, which is encrypted with the text. Both are read each time from
// the answered message, which may be gone: a stored quote would outlive it.
type answered struct {
	refs  carrier.References
	quote string
	life  store.Life // of the quote
}

// references returns what a message answers when its text begins with so many characters of a quote.
func (a answered) references(quoted int) carrier.References {
	if a.refs.ReplyTo != "" {
		a.refs.Quote.End = quoted
	}
	return a.refs
}

// answered returns what a message answers. If it answers none that is stored and of the same
// conversation, it is empty, and the message is sent all the same, as the hosted API does.
func (s *Outbound) answered(ctx context.Context, c store.CustomerID, body record.Content) (a answered, err error) {
	if body.ReplyTo == "" {
		return a, nil
	}
	err = s.Store.View(ctx, func(tx *store.Tx) error {
		a, err = answeredIn(tx, c, body)
		return err
	})
	if record.IsNotFound(err) {
		return answered{}, nil
	}
	return a, err
}

// answeredIn is answered in a transaction. It may return store.ErrNotFound.
func answeredIn(tx *store.Tx, c store.CustomerID, body record.Content) (a answered, err error) {
	m, err := tx.Message(body.ReplyTo)
	if err != nil {
		return a, err
	}
	if m.Customer != c || m.CarrierID == "" || m.Type == record.TypeReaction {
		return a, store.ErrNotFound
	}
	r, err := base.ReferencedBy(m)
	if err != nil {
		return a, err
	}
	a.refs.ReplyTo, a.refs.ReplyToOwn = m.CarrierID, r.Ours()
	if body.Media != nil || r.Content.Revoked {
		return a, nil // a file's text is its link and nothing else; what was taken back is not repeated
	}
	words, life, err := r.Words(tx)
	if len(words) > 0 {
		a.quote, a.life = quote.Write(words[0]), life
	}
	return a, err
}
