package inbound

import (
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/message/internal/peers"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// keep writes what a message says that was opened, unless it is a second copy of one that is stored.
func (s *Inbound) keep(tx *store.Tx, c store.Customer, m carrier.Message, opened omemo.Opened, now time.Time, a *arrival) (again bool, err error) {
	renewed, err := s.peers.Activate(tx, c.ID, m.Envelope.Sender, m.Envelope.Format, opened, now)
	if err != nil {
		return false, err
	}
	if opened.NewSession {
		if err := peers.Bound(tx, c.ID, m.Envelope.Sender); err != nil {
			return false, err
		}
	}
	if opened.NewSession || opened.Heartbeat {
		if err := s.Enqueue(tx, c.ID, "", record.Task{Kind: record.KindAnswer, Device: m.Envelope.Sender, Format: m.Envelope.Format}); err != nil {
			return false, err
		}
	}
	m.WantsReceipt, m.WantsRead = m.WantsReceipt || opened.WantsReceipt, m.WantsRead || opened.WantsRead
	receipt := s.confirm(m.ID, m.WantsReceipt)
	receipt.Parts = receipt.Stanza != ""
	taken, err := s.inside(tx, c, opened, receipt, a)
	if err != nil {
		return false, err
	}
	if again, err = s.keepWords(tx, c, m, opened, renewed, now); err != nil {
		return false, err
	}
	if opened.Text == nil && !taken || !m.WantsReceipt || m.ID == "" || s.NoStorage { // then it follows from the webhook
		return again, nil
	}
	return again, s.EnqueueReceipt(tx, c.ID, m.ID)
}

// keepWords writes a message's opt-out and text, unless they are a second copy of what is stored; renewed says
// that the session with the device has just begun. The opt-out comes first: a copy of both is recognized by
// what was written last.
func (s *Inbound) keepWords(tx *store.Tx, c store.Customer, m carrier.Message, opened omemo.Opened, renewed bool, now time.Time) (again bool, err error) {
	whole := valid(string(opened.Words()))
	if opened.Text != nil {
		said := saying{stanza: m.ID, text: whole, time: m.Time, renewed: renewed}
		if again, err = said.repeated(tx, c); err != nil || again {
			return again, err
		}
	}
	if opened.OptOut != nil {
		if err := s.optedOut(tx, c, m, opened, now); err != nil {
			return false, err
		}
	}
	if opened.Text == nil {
		return false, nil
	}
	return false, s.keepText(tx, c, m, opened, whole, now)
}

// optedOut tells the business that the customer asks for messages without encryption, and why, and tells
// the customer's client that there are none. Nothing is ever sent in clear.
func (s *Inbound) optedOut(tx *store.Tx, c store.Customer, m carrier.Message, opened omemo.Opened, now time.Time) error {
	again, err := saying{stanza: m.ID, refused: carrier.OptedOut, time: m.Time}.repeated(tx, c)
	if err != nil || again {
		return err
	}
	told := opened.Text == nil && answerable(m.ID, m.Resource) // a text of the same message is accepted
	details := unreadDetails(carrier.OptedOut, told)
	if why := opened.OptOut.Reason; why != "" && !s.NoStorage { // it would be stored with the webhook
		details += " The reason that they give: " + why
	}
	w := webhook.Message{
		Time: m.Time, Errors: []webhook.Error{webhook.Unsupported(details)}, IdentityHash: peers.IdentityHash(opened.Identity.Bytes()),
	}
	err = s.receive(tx, c, w, record.Content{At: m.Time, Refused: carrier.OptedOut}, m.ID, now)
	if err != nil || !told {
		return err
	}
	return s.refusal(tx, c.ID, m.ID, m.Resource, carrier.OptedOut)
}

// keepText writes a message's text. Whole is that text with the links of its files.
func (s *Inbound) keepText(tx *store.Tx, c store.Customer, m carrier.Message, opened omemo.Opened, whole string, now time.Time) error {
	text := valid(string(opened.Text))
	refs, outside := opened.Refers(m)
	body := record.Content{Markable: m.WantsRead, At: m.Time, Confirm: s.confirm(m.ID, m.WantsReceipt)}
	rest, repeated, err := references{s.Base}.refer(tx, c, refs, outside, text, &body)
	if err != nil {
		return err
	}
	parts := []part{{Part: media.Part{Text: whole}}}
	if s.Files != nil {
		parts = saidIn(rest, opened.Files, m.Files)
	} else if rest != text {
		parts[0].Text = rest
	}
	if len(parts) > 1 || parts[0].URL != "" {
		body.Confirm.Parts = body.Confirm.Stanza != ""
		body.Whole = textHash(whole)
		body.Corrects, body.CorrectsClear = "", false // a file replaces nothing
	} else if err := (references{s.Base}).understand(tx, c, parts[0].Text, &body); err != nil {
		return err
	}
	if err := s.reached(tx, c, body, repeated); err != nil {
		return err
	}
	if err := s.write(tx, c, m, parts, body, peers.IdentityHash(opened.Identity.Bytes()), now); err != nil || len(parts) > 1 || parts[0].URL != "" || body.Corrects != "" {
		return err
	}
	return s.optOut(tx, c, parts[0].Text, now)
}

// confirm returns the receipt that follows from the webhook about a customer's message, zero for none.
func (s *Inbound) confirm(stanza string, wanted bool) record.Confirm {
	if !s.NoStorage || !wanted {
		return record.Confirm{}
	}
	return record.Confirm{Stanza: stanza}
}

// reached queues what follows for the business's message that an encrypted one answers: the customer has it,
// whether their client sends receipts or not. Repeated says that the answer repeats its words, which the
// customer's client then showed.
func (s *Inbound) reached(tx *store.Tx, c store.Customer, answer record.Content, repeated bool) error {
	if answer.ReplyTo == "" || answer.ReplyOwn {
		return nil
	}
	m, err := tx.Message(answer.ReplyTo)
	if record.IsNotFound(err) {
		return nil
	}
	if err != nil || m.State == record.StateRead || m.State == record.StateDelivered && !repeated {
		return err // as with most clients, which sent a receipt before
	}
	t := record.Task{Kind: record.KindAnswered, Message: m.ID, Receipt: carrier.Delivered}
	if repeated {
		t.Receipt = carrier.Read
	}
	return s.Enqueue(tx, c.ID, "", t)
}

// write writes what a customer says: a text, files, or both. A file's text goes with it.
func (s *Inbound) write(tx *store.Tx, c store.Customer, m carrier.Message, parts []part, body record.Content, identity string, now time.Time) error {
	for _, p := range parts {
		one := body
		if p.URL != "" {
			one.Caption, one.Media = p.Text, &record.Attached{From: p.URL, Described: p.described}
			if err := s.arriving(tx, c, m, one, identity, now); err != nil {
				return err
			}
			continue
		}
		one.Text = p.Text
		w := webhook.Message{Time: m.Time, Text: p.Text, IdentityHash: identity}
		if err := s.receive(tx, c, w, one, m.ID, now); err != nil {
			return err
		}
	}
	return nil
}
