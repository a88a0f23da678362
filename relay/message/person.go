package message

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/store"
)

// ErrUnknownCustomer means that nothing is kept of that person, or not from there on.
var ErrUnknownCustomer = errors.New("nothing is kept of this person")

// Erase removes everything that is kept of one person: messages in both directions
// with what hangs on them, sessions and devices, what is queued, and the entry on the
// carrier's contact list. It may be called again, and then does what was left; a
// person of whom nothing is kept is no error. When the carrier is away the error is
// its own: the relay's part is done then, and the contact list's is not.
func (s *Service) Erase(ctx context.Context, n phone.Number) error {
	var id store.CustomerID
	err := s.Store.Update(ctx, func(tx *store.Tx) error {
		c, err := tx.Customer(n)
		if isNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		id = c.ID
		return tx.EraseCustomer(c.ID)
	})
	if err != nil {
		return fmt.Errorf("erasing a person: %w", err)
	}
	if id != 0 {
		s.forget(id)
		s.Log.LogAttrs(ctx, slog.LevelInfo, "erased what was kept of a person")
	}
	if s.Scrub != nil {
		if err := s.Scrub(ctx); err != nil {
			return fmt.Errorf("erasing a person: %w", err)
		}
	}
	if s.Forget == nil {
		return nil
	}
	return s.Forget(ctx, n)
}

// forget drops what is remembered of a customer to save work.
func (s *Service) forget(id store.CustomerID) {
	s.typing.forget(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.fetched, id)
	for d := range s.repaired {
		if d.customer == id {
			delete(s.repaired, d)
		}
	}
}

// Person is what is kept of one person, for an answer to a request for access.
type Person struct {
	Name        string
	LastInbound time.Time // zero when nothing came
	Devices     []PersonsDevice
	Messages    []PersonsMessage // oldest first
	More        bool             // there are further messages
}

// PersonsDevice is one device that the person writes with.
type PersonsDevice struct {
	ID          uint32
	IdentityKey []byte // public; nil while unknown
	Active      bool
}

// PersonsMessage is one message to or from the person.
type PersonsMessage struct {
	ID      string
	Inbound bool
	Type    string
	State   string
	Time    time.Time
	Opaque  string
	// Content is what was written, as JSON.
	Content json.RawMessage
}

// Person returns what is kept of one person: at most limit messages, those after the
// one with the given id, or from the first when it is empty. ErrUnknownCustomer.
func (s *Service) Person(ctx context.Context, n phone.Number, after string, limit int) (Person, error) {
	var p Person
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		c, err := tx.Customer(n)
		if err != nil {
			return err
		}
		p = Person{Name: c.Name, LastInbound: c.LastInbound}
		devices, err := tx.Devices(c.ID)
		if err != nil {
			return err
		}
		for _, d := range devices {
			p.Devices = append(p.Devices, PersonsDevice{ID: uint32(d.ID), IdentityKey: d.IdentityKey, Active: d.Active})
		}
		messages, err := tx.History(c.ID, after, limit+1)
		if err != nil {
			return err
		}
		if p.More = len(messages) > limit; p.More {
			messages = messages[:limit]
		}
		for _, m := range messages {
			exported, err := exportOf(m)
			if err != nil {
				return err
			}
			p.Messages = append(p.Messages, exported)
		}
		return nil
	})
	if isNotFound(err) {
		return Person{}, ErrUnknownCustomer
	}
	if err != nil {
		return Person{}, fmt.Errorf("reading what is kept of a person: %w", err)
	}
	return p, nil
}

// exportOf leaves out of a message what is the relay's own business.
func exportOf(m store.Message) (PersonsMessage, error) {
	var content map[string]json.RawMessage
	if err := json.Unmarshal(m.Body, &content); err != nil {
		return PersonsMessage{}, errors.New("decoding a message: it is not what this relay writes")
	}
	for _, own := range []string{"envelope", "for", "markable"} {
		delete(content, own)
	}
	raw, err := json.Marshal(content)
	return PersonsMessage{
		ID: m.ID, Inbound: m.Direction == store.Inbound, Type: m.Type, State: m.State,
		Time: m.Created, Opaque: m.Opaque, Content: raw,
	}, err
}
