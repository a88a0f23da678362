package base

import (
	"errors"
	"time"

	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/store"
)

// Referenced is a message of a conversation that another one is about.
type Referenced struct {
	ID      string // as the business knows the message
	Message store.Message
	Content record.Content
}

// Ours says whether the business sent the message.
func (r Referenced) Ours() bool { return r.Message.Direction == store.Outbound }

// Named returns the message of a conversation that the customer's client knows by a stanza's
// id, or store.ErrNotFound. Clients may give several messages the same id; it returns the
// youngest.
func (s *Base) Named(tx *store.Tx, c store.CustomerID, stanza string) (Referenced, error) {
	if stanza = record.Limited(stanza); stanza == "" {
		return Referenced{}, store.ErrNotFound
	}
	m, err := tx.MessageByCarrierID(store.Outbound, stanza)
	if err == nil && m.Customer != c {
		err = store.ErrNotFound
	}
	if record.IsNotFound(err) {
		return s.Received(tx, c, stanza)
	}
	if err != nil {
		return Referenced{}, err
	}
	return ReferencedBy(m)
}

// Received is Named for the customer's own messages only.
func (s *Base) Received(tx *store.Tx, c store.CustomerID, stanza string) (Referenced, error) {
	if stanza = record.Limited(stanza); stanza == "" {
		return Referenced{}, store.ErrNotFound
	}
	m, err := tx.ReceivedByCarrierID(c, stanza, time.Time{})
	if err != nil {
		return Referenced{}, err
	}
	return ReferencedBy(m)
}

// ReferencedBy says how the business knows a message: a caption by its file, a correction by
// the message that it replaces. What the relay itself wrote is unknown to the business:
// store.ErrNotFound.
func ReferencedBy(m store.Message) (Referenced, error) {
	r := Referenced{ID: m.ID, Message: m}
	var err error
	if r.Content, err = record.ContentOf(m); errors.Is(err, record.ErrBody) {
		err = nil // damaged; its id is known all the same
	}
	switch {
	case m.Type == record.TypeNotice:
		err = store.ErrNotFound
	case r.Content.With != "":
		r.ID = r.Content.With
	case r.Content.Corrects != "":
		r.ID = r.Content.Corrects
	}
	return r, err
}

// Words returns what a client may show, and quote, of the message: its text, its caption, or
// its file's name. None are blank. Life is that of all of them.
func (r Referenced) Words(tx *store.Tx) (words []string, life store.Life, err error) {
	life = r.Message.Life
	add := func(s string) {
		if s != "" {
			words = append(words, s)
		}
	}
	a := r.Content.Media
	if a == nil {
		add(r.Content.Text)
		return words, life, nil
	}
	add(r.Content.Caption)
	if link, err := media.ParseFileURL(r.Content.Text); err == nil { // what was uploaded for the customer
		add(link.Name())
	}
	if a.ID == "" {
		return words, life, nil
	}
	f, err := tx.Media(a.ID)
	if record.IsNotFound(err) {
		return words, life, nil
	}
	add(f.Name)
	return words, tx.First(life, f.Life), err
}
