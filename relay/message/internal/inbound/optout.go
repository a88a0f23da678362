package inbound

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// The relay's own confirmations; %s is the first word by which a customer allows the business again.
const (
	stoppedText = "You will get no more messages from us that you did not ask for."
	backText    = " Write %s to get them again."
	resumedText = "You will get messages from us again."
)

// optOut does what a customer's whole text asks for if it is one of the words: it notes that, tells the business, and confirms
// it to the customer, unless it is so already.
func (s *Inbound) optOut(tx *store.Tx, c store.Customer, text string, now time.Time) error {
	o := s.OptOut
	if o == nil {
		return nil
	}
	stop, back := isOneOf(text, o.Words), isOneOf(text, o.Back)
	if !stop && !back {
		return nil
	}
	was, err := tx.OptedOut(c.Number)
	if err != nil || stop != was.IsZero() {
		return err
	}
	at, confirmation := now, cmp.Or(o.Confirmation, stopped(o.Back))
	if !stop {
		at, confirmation = time.Time{}, cmp.Or(o.BackConfirmation, resumedText)
	}
	if err := tx.PutOptOut(c.Number, at); err != nil {
		return err
	}
	payload, err := s.Webhook.PreferencePayload(webhook.Preference{Customer: c.Number, User: c.UserID, Name: c.Name, Stop: stop, Time: now})
	if err := s.Notify(tx, store.Job{Customer: c.ID}, payload, err); err != nil {
		return err
	}
	return s.PutTask(tx, store.Message{
		ID: store.NewMessageID(), Direction: store.Outbound, Customer: c.ID, Type: record.TypeNotice, CarrierID: store.NewCarrierID(),
		State: record.StateAccepted, Created: now, Updated: now,
	}, record.Content{Text: confirmation}, record.KindText)
}

// isOneOf says whether a text is one of the words.
func isOneOf(text string, words []string) bool {
	text = strings.TrimSpace(text)
	return slices.ContainsFunc(words, func(w string) bool { return strings.EqualFold(text, strings.TrimSpace(w)) })
}

// stopped is the relay's own confirmation.
func stopped(back []string) string {
	if len(back) == 0 {
		return stoppedText
	}
	return stoppedText + strings.Replace(backText, "%s", strings.TrimSpace(back[0]), 1)
}
