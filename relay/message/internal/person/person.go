package person

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/message/internal/blocklist"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
)

// ErrUnknownCustomer means that nothing is stored about that person, or that no message of
// theirs has the given id.
var ErrUnknownCustomer = errors.New("nothing is kept of this person")

// Person is what is stored about one person, to answer a request for access.
type Person struct {
	UserID      string // empty when only the block list or an opt-out is about them
	Name        string
	LastInbound time.Time // zero when nothing came
	Blocked     bool      // by the business
	OptedOut    time.Time // when they asked the business to stop; zero if they did not
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
	Detail  string // why it is in that state; may be empty
	Time    time.Time
	Opaque  string
	// Content is what was written, as JSON.
	Content json.RawMessage
	// File is the message's file, if it is still stored; nil for none.
	File *PersonsFile
}

// PersonsFile is a file that came from the person or went to them. Its id leads to its
// content.
type PersonsFile struct {
	Kind media.Kind
	store.Media
}

// Person returns what is stored about one person, with at most limit messages: those after the
// one with the given id, or from the first when the id is empty. It may return
// ErrUnknownCustomer. For a blocked person that fact may be all that is stored.
func (s *People) Person(ctx context.Context, n phone.Number, after string, limit int) (Person, error) {
	var p Person
	var id store.CustomerID
	err := s.Store.View(ctx, func(tx *store.Tx) (err error) {
		if p, err = personIn(tx, n, after, limit); err == nil && p.UserID == "" {
			if id, err = tx.CustomerID(n); record.IsNotFound(err) {
				err = nil
			}
		}
		return err
	})
	if err == nil && id != 0 {
		p.UserID, err = s.UserOf(ctx, id)
	}
	if record.IsNotFound(err) {
		return Person{}, ErrUnknownCustomer
	}
	if err != nil {
		return Person{}, fmt.Errorf("reading what is kept of a person: %w", err)
	}
	return p, nil
}

// personIn is Person in a transaction. It may return store.ErrNotFound.
func personIn(tx *store.Tx, n phone.Number, after string, limit int) (p Person, err error) {
	blocked, err := blocklist.ReadBlocked(tx)
	if err != nil && !errors.Is(err, seal.ErrTampered) {
		return p, err
	}
	_, p.Blocked = blocked[n]
	if p.OptedOut, err = tx.OptedOut(n); err != nil && !errors.Is(err, seal.ErrTampered) {
		return p, err
	}
	c, err := tx.Customer(n)
	if errors.Is(err, seal.ErrTampered) { // everything else can still be read
		c.ID, err = tx.CustomerID(n)
	}
	if record.IsNotFound(err) && (p.Blocked || !p.OptedOut.IsZero()) && after == "" {
		return p, nil
	}
	if err != nil {
		return p, err
	}
	p.UserID, p.Name, p.LastInbound = c.UserID, c.Name, c.LastInbound
	if p.Devices, err = devicesOf(tx, c.ID); err != nil {
		return p, err
	}
	p.Messages, p.More, err = messagesOf(tx, c, after, limit)
	return p, err
}

// devicesOf returns the devices of a customer whose rows can be read.
func devicesOf(tx *store.Tx, c store.CustomerID) (shown []PersonsDevice, err error) {
	devices, err := tx.Devices(c)
	for _, d := range devices {
		if !d.Damaged {
			shown = append(shown, PersonsDevice{ID: uint32(d.ID), IdentityKey: d.IdentityKey, Active: d.Reachable()})
		}
	}
	return shown, err
}

// messagesOf returns at most limit messages of a customer, those after the one with the
// given id, and whether there are more.
func messagesOf(tx *store.Tx, c store.Customer, after string, limit int) (shown []PersonsMessage, more bool, err error) {
	messages, err := tx.History(c.ID, after, limit+1)
	if err != nil {
		return nil, false, err
	}
	if more = len(messages) > limit; more {
		messages = messages[:limit]
	}
	for _, m := range messages {
		exported, err := exportOf(tx, m)
		if err != nil {
			return nil, false, err
		}
		exported.Detail = detail(c, m)
		shown = append(shown, exported)
	}
	return shown, more, nil
}

// exportOf leaves out of a message what concerns only the relay. That includes the file URL,
// which holds the file's key.
func exportOf(tx *store.Tx, m store.Message) (PersonsMessage, error) {
	body, err := record.ContentOf(m)
	if err != nil {
		return PersonsMessage{}, err
	}
	e := PersonsMessage{
		ID: m.ID, Inbound: m.Direction == store.Inbound, Type: m.Type, State: m.State,
		Time: m.Created, Opaque: m.Opaque,
	}
	own := []string{"at", "bounces", "correctsClear", "envelope", "failure", "for", "going", "mark", "markable", "quoted", "replyClear", "resent", "sealed", "toUser", "unproven", "waits", "whole"}
	if body.Media != nil {
		own = append(own, "media", "text")
		if e.File, err = exportedFile(tx, *body.Media); err != nil {
			return e, err
		}
	}
	e.Content, err = leaveOut(body, own)
	return e, err
}

// leaveOut returns what a message holds, without some of it, as JSON.
func leaveOut(body record.Content, names []string) (json.RawMessage, error) {
	all, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encoding a message: %w", err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(all, &fields); err != nil {
		return nil, record.ErrBody
	}
	for _, name := range names {
		delete(fields, name)
	}
	return json.Marshal(fields)
}

// exportedFile describes a message's file; nil when it is not there yet or no longer.
func exportedFile(tx *store.Tx, a record.Attached) (*PersonsFile, error) {
	f, err := tx.Media(a.ID)
	if record.IsNotFound(err) {
		return nil, nil
	}
	return &PersonsFile{a.Kind, f}, err
}
