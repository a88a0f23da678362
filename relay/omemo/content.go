package omemo

import (
	"errors"
	"fmt"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/about"
	"github.com/relaykeep/relaykeep/relay/omemo/internal/sce"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/signal"
)

// emptyKey is what a session carries in a key transport message of OMEMO2 (XEP-0384 v0.9, "Sending a
// message").
const emptyKey = 32

// errOff means that the account has no address.
var errOff = errors.New("omemo: the account has no address for envelopes")

// Saying is what is sealed. The zero Saying makes a key transport message, which carries nothing and
// advances the sessions.
type Saying struct {
	// Text is at most MaxText bytes; nil for a message without one.
	Text []byte
	// References, Reaction and Retracts are about other messages, which they name by their stanza ids. OMEMO2
	// has them inside the encryption. In Legacy nothing but Text is sealed.
	References carrier.References
	// Files are shared with their keys in OMEMO2, where Text then only names them once more.
	Files    []carrier.SharedFile
	Retracts string // the message that is taken back; empty for none
	// Reaction is nil for none. Where it is sealed, Text is not: that says the same to those who get no
	// reaction.
	Reaction *Reaction
	// OptOut asks for messages without OMEMO; nil for nothing of the kind. Legacy has no place for it.
	OptOut *OptOut
}

// OptOut says that its sender asks for messages without OMEMO. Reason is at most 512 bytes, in one line; it
// may be empty.
type OptOut struct{ Reason string }

// Reaction is a reaction to a message.
type Reaction struct{ About, Emoji string } // without Emoji the reaction is removed

// Text returns a saying that is a text alone.
func Text(text []byte) Saying { return Saying{Text: text} }

// empty says whether a saying says nothing in OMEMO2.
func (s Saying) empty() bool {
	return s.Text == nil && s.Reaction == nil && s.Retracts == "" && s.OptOut == nil
}

// content returns a saying's content for an envelope to a peer.
func (a *Account) content(to phone.Number, s Saying) sce.Content {
	c := sce.Content{
		Body: s.Text, WantsReceipt: true, WantsRead: true,
		About: about.Said{References: s.References, Retracts: s.Retracts != "", Takes: s.Retracts}, Author: a.Address(to),
	}
	c.Shared.Files = s.Files
	if s.References.ReplyToOwn {
		c.Author = a.Address(a.Own)
	}
	if s.OptOut != nil {
		c.OptsOut, c.Reason = true, s.OptOut.Reason
	}
	if r := s.Reaction; r != nil {
		c.Body, c.WantsRead = nil, false
		c.About = about.Said{Reacts: true, ReactsTo: r.About, Emoji: []string{r.Emoji}}
	}
	return c
}

// sealContent encrypts an envelope with what is said (OMEMO2).
func (a *Account) sealContent(to phone.Number, say Saying, now time.Time) (keyAndCode, payload []byte, err error) {
	switch {
	case a.Address == nil:
		return nil, nil, errOff
	case say.empty():
		return make([]byte, emptyKey), nil, nil
	}
	envelope, err := sce.Seal(sce.Envelope{From: a.Address(a.Own), Time: now, Content: a.content(to, say)})
	if err != nil {
		return nil, nil, fmt.Errorf("omemo: %w", err)
	}
	defer clear(envelope)
	if len(envelope) > maxContent {
		return nil, nil, ErrTooLong
	}
	keyAndCode, payload, err = signal.SealPayload(envelope)
	if err != nil {
		return nil, nil, fmt.Errorf("omemo: sealing the content: %w", err)
	}
	return keyAndCode, payload, nil
}

// openContent decrypts what an envelope says with what its session carried. What the carrier made of the
// envelope, and what was written for another conversation, is ErrContent.
func (a *Account) openContent(carried []byte, m carrier.Message) (Content, error) {
	if m.Envelope.Format != carrier.OMEMO2 {
		text, err := openPayload(carried, m.Envelope)
		return Content{Text: text}, err
	}
	if m.Envelope.Payload == nil {
		return Content{}, nil
	}
	plain, err := signal.OpenPayload(carried, m.Envelope.Payload)
	if err != nil {
		return Content{}, ErrContent
	}
	defer clear(plain)
	said, err := sce.Open(plain, sce.Parties{From: a.Address(m.From), To: a.Address(a.Own)})
	switch {
	case err != nil:
		return Content{}, fmt.Errorf("%w: %w", ErrContent, err)
	case len(said.Body) > MaxText:
		return Content{}, fmt.Errorf("%w: text is longer than %d bytes", ErrContent, MaxText)
	}
	return contentOf(m, said), nil
}

// contentOf is the content of a message whose envelope says that.
func contentOf(m carrier.Message, said sce.Content) Content {
	content := Content{
		Text: said.Body, WantsReceipt: said.WantsReceipt, WantsRead: said.WantsRead,
		References: said.About.References,
	}
	if said.OptsOut {
		content.OptOut = &OptOut{said.Reason}
	}
	if said.About.Repeats || said.Shared.Repeats {
		content.Text = nil
	}
	if content.Files = said.Shared.Files; said.Shared.Sources() && content.Text == nil {
		content.Text = []byte{}
	}
	if id := said.About.ReactsTo; id != "" {
		content.Reaction = &carrier.Reaction{ID: m.ID, From: m.From, Resource: m.Resource, About: id, Emoji: said.About.Emoji, Time: m.Time, Encrypted: true}
	}
	if id := said.About.Takes; id != "" {
		content.Retraction = &carrier.Retraction{ID: m.ID, From: m.From, Resource: m.Resource, About: id, Time: m.Time, Encrypted: true}
	}
	for _, id := range said.Received {
		content.Receipts = append(content.Receipts, carrier.Receipt{From: m.From, ID: id, Kind: carrier.Delivered})
	}
	for _, id := range said.Displayed {
		content.Receipts = append(content.Receipts, carrier.Receipt{From: m.From, ID: id, Kind: carrier.Read})
	}
	return content
}
