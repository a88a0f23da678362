package inbound

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"log/slog"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/message/internal/peers"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/metering"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/signal"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// arrival is what became of a message in its transaction.
type arrival struct {
	event   base.Event
	cause   error // why it could not be opened; nil when it could
	opened  omemo.Opened
	publish bool
	repair  *peers.Device // the device that is offered a new session; nil for none
	news    base.Event    // of the device's identity; empty for none
	remarks []base.Event  // of a reaction or a retraction inside the encryption
	closed  bool          // what stands beside the envelope does not count
}

// Message receives an envelope.
func (s *Inbound) Message(ctx context.Context, b *base.Batch, m carrier.Message) error {
	now := s.Now()
	if m.Time.Before(now.Add(-s.Retention)) {
		s.Counts.Add(base.EventTooOld)
		return nil
	}
	if m.Time.IsZero() || m.Time.After(now) {
		m.Time = now // the carrier's time is wrong
	}
	if blocked, err := s.blocklist.Drops(ctx, m.From); err != nil || blocked {
		return err
	}
	m = s.forUs(m)
	hash := s.fingerprint(m)
	var a arrival
	b.Update(ctx, func(tx *store.Tx) (err error) {
		a = arrival{}
		first, err := tx.SeenCiphertext(hash)
		if err != nil {
			return err
		}
		if !first {
			a.event, a.cause, a.closed = base.EventReplayed, signal.ErrReplay, true
			return nil
		}
		a, err = s.open(tx, m, now)
		return err
	}, func(err error) error {
		if err == nil || errors.Is(err, record.ErrNoNews) {
			s.arrived(a)
			return nil
		}
		if a.repair != nil {
			s.peers.Unrepaired(*a.repair)
		}
		if errors.Is(err, store.ErrQuota) {
			r := refusedMessage{m.From, m.Resource, m.ID, m.Time, m.Envelope.Payload == nil}
			return s.overQuota(ctx, r, now)
		}
		return err
	})
	return s.beside(ctx, b, m, func() *arrival { return &a })
}

// arrived does what follows from a message that is stored.
func (s *Inbound) arrived(a arrival) {
	for _, e := range append(a.remarks, a.event) {
		if e != "" {
			s.Counts.Add(e)
		}
	}
	if a.cause != nil {
		s.Classes.Add(omemo.Class(a.cause))
	}
	if a.cause != nil && a.event != base.EventReplayed {
		s.Log.LogAttrs(context.Background(), slog.LevelWarn, "a message could not be opened", slog.Any("error", a.cause))
	}
	if a.news != "" {
		s.Counts.Add(a.news)
		s.Log.LogAttrs(context.Background(), slog.LevelWarn, "a customer used an identity key that was not known", slog.String("event", string(a.news)))
	}
	if a.repair != nil {
		s.Counts.Add(base.EventRepaired)
	}
	if a.publish || a.opened.PreKeyUsed {
		s.peers.PublishSoon()
	}
	for _, r := range a.opened.Receipts {
		if err := s.Receipt(context.Background(), r); err != nil {
			s.Log.LogAttrs(context.Background(), slog.LevelWarn, "could not store an encrypted receipt", slog.Any("error", err))
		}
	}
}

// open opens a message and writes everything that follows from it. It returns ErrNoNews when
// nothing does.
func (s *Inbound) open(tx *store.Tx, m carrier.Message, now time.Time) (arrival, error) {
	c, err := s.Customer(tx, m.From)
	if err != nil {
		return arrival{}, err
	}
	if err := tx.Quota(c.ID); err != nil {
		return arrival{}, err
	}
	if m.Nickname != "" {
		c.Name = m.Nickname
	}
	view := s.peers.View(tx, c.ID)
	defer view.Forget()
	account := s.recipientOf(m, now)
	opened, err := account.Open(view, m, now)
	if err == nil {
		return s.opened(tx, c, m, view, opened, now, account != s.Account)
	}
	return s.unopened(tx, c, m, err, now)
}

// opened writes everything that follows from a message that could be opened; late says that
// it was encrypted to the former identity.
func (s *Inbound) opened(tx *store.Tx, c store.Customer, m carrier.Message, view *peers.Sessions, o omemo.Opened, now time.Time, late bool) (a arrival, err error) {
	if o.Text != nil {
		a.event = base.EventReceived
	}
	if o.Answers {
		t := record.Task{Kind: record.KindProven, Device: m.Envelope.Sender, Until: now}
		if err := s.Enqueue(tx, c.ID, "", t); err != nil {
			return a, err
		}
	}
	if o.Replaced && !o.IdentityChanged {
		if err := s.ResendLater(tx, c, m.Envelope.Sender, now); err != nil {
			return a, err
		}
	}
	if a.news, err = s.peers.News(tx, c, view, o.IdentityChanged, o.NewDevice, o.Identity); err != nil {
		return a, err
	}
	// A customer who writes to the former identity is shown the present one, but not each
	// time: a client that keeps an old device list would answer each time.
	if d := sender(c, m); late {
		o.Heartbeat = false
		if o.NewSession = hasContent(o) && s.peers.MayRepair(d, now); o.NewSession {
			a.repair = &d
		}
	}
	a.opened = o
	if !c.Asked.IsZero() { // now there is a device to write to
		if _, err := s.Release(tx, c.ID); err != nil {
			return a, err
		}
	}
	again, err := s.keep(tx, c, m, o, now, &a)
	if again {
		a.event = base.EventReplayed
	}
	return a, err
}

// hasContent says whether a customer says something with a message, unlike with one that only carries keys.
func hasContent(o omemo.Opened) bool {
	return o.Text != nil || o.Reaction != nil || o.Retraction != nil || o.OptOut != nil
}

// unopened writes everything that follows from a message that could not be opened because of
// cause. It returns record.ErrNoNews when nothing does, and cause when the store failed.
func (s *Inbound) unopened(tx *store.Tx, c store.Customer, m carrier.Message, cause error, now time.Time) (arrival, error) {
	// In OMEMO2 a reaction stands inside, and one outside is not the customer's client's. In Legacy there is
	// no other place for it.
	a := arrival{event: base.EventUndecryptable, cause: cause, closed: m.Envelope.Format == carrier.OMEMO2}
	switch fault(cause) {
	case faultStorage:
		return a, cause
	case faultReplay:
		a.event, a.closed = base.EventReplayed, true
		return a, record.ErrNoNews
	case faultNotForUs:
		a.event, a.publish = base.EventNotForUs, true
	case faultUntrusted:
		a.event = base.EventUntrusted
		var untrusted *omemo.UntrustedError
		if errors.As(cause, &untrusted) {
			if err := s.peers.Refused(tx, c, m.Envelope.Sender, untrusted.Identity); err != nil {
				return a, err
			}
		}
	case faultRepairable:
		if d := sender(c, m); s.peers.MayRepair(d, now) {
			a.repair = &d
		}
	case faultNone, faultHopeless:
	}
	return a, s.unreadable(tx, c, m, a, now)
}

// nameAge is how long a customer must have been silent for the relay to look again which name
// they give themselves.
const nameAge = 24 * time.Hour

// receive writes a customer's message and the webhook about it.
func (s *Inbound) receive(tx *store.Tx, c store.Customer, w webhook.Message, body record.Content, stanza string, now time.Time) error {
	if now.Sub(c.LastInbound) > nameAge {
		if err := s.Enqueue(tx, c.ID, "", record.Task{Kind: record.KindName}); err != nil {
			return err
		}
	}
	if now.After(c.LastInbound) { // a part that waited for its file may be older
		c.LastInbound = now
	}
	if err := tx.PutCustomer(&c); err != nil {
		return err
	}
	data, err := body.Encode()
	if err != nil {
		return err
	}
	w.ID, w.From, w.User, w.Name = store.NewMessageID(), c.Number, c.UserID, c.Name
	kind := "text"
	switch {
	case len(w.Errors) > 0:
		kind = record.TypeUnsupported
	case body.Corrects != "":
		kind = record.TypeEdit
	}
	err = tx.PutMessage(store.Message{
		ID: w.ID, Direction: store.Inbound, Customer: c.ID, Type: kind, Body: data,
		CarrierID: record.Limited(stanza), State: record.StateReceived, Created: now, Updated: now,
		Life: body.Life, Borrowed: body.Borrowed,
	})
	if err != nil {
		return err
	}
	if err := s.Meter(tx, c.ID, metering.In, s.Now(), kind, 0); err != nil {
		return err
	}
	return s.NotifyOf(tx, c.ID, w, body)
}

// unreadable writes that a message could not be opened: the business learns that there was
// one and, if a new session may help, the device is offered one.
func (s *Inbound) unreadable(tx *store.Tx, c store.Customer, m carrier.Message, a arrival, now time.Time) error {
	if a.repair != nil {
		if err := s.Enqueue(tx, c.ID, "", record.Task{Kind: record.KindRepair, Device: a.repair.ID, Format: a.repair.Format}); err != nil {
			return err
		}
		if err := s.ResendLater(tx, c, a.repair.ID, time.Time{}); err != nil {
			return err
		}
	}
	if m.Envelope.Payload == nil {
		return nil // it had no content
	}
	w := webhook.Message{Time: m.Time, Errors: []webhook.Error{webhook.Unsupported(fault(a.cause).details())}}
	return s.receive(tx, c, w, record.Content{Markable: m.WantsRead}, m.ID, now)
}

// sender names the device that sent a message.
func sender(c store.Customer, m carrier.Message) peers.Device {
	return peers.Device{Customer: c.ID, ID: m.Envelope.Sender, Format: m.Envelope.Format}
}

// forUs returns a message with the one of its envelopes that is for us: a client may encrypt for devices of
// either format, and one that is for neither of our devices is as good as the other.
func (s *Inbound) forUs(m carrier.Message) carrier.Message {
	if other := m.Other; other != nil {
		m.Other = nil
		alternative := m
		alternative.Envelope = *other
		if !s.hasKey(m) && s.hasKey(alternative) {
			return alternative
		}
	}
	return m
}

// hasKey says whether a message has a key for one of our devices.
func (s *Inbound) hasKey(m carrier.Message) bool {
	return keyFor(m, s.Account.Device) != nil || s.Former != nil && keyFor(m, s.Former.Account.Device) != nil
}

// recipientOf returns which of our identities a message was encrypted to: the present
// one, unless it can only be the former.
func (s *Inbound) recipientOf(m carrier.Message, now time.Time) *omemo.Account {
	f := s.Former
	if f == nil || !now.Before(f.Until) || keyFor(m, s.Account.Device) != nil || keyFor(m, f.Account.Device) == nil {
		return s.Account
	}
	return f.Account
}

// keyFor returns a message's key for one of our devices; nil when it has none.
func keyFor(m carrier.Message, d carrier.DeviceID) []byte {
	for _, k := range m.Envelope.Keys {
		if k.Device == d {
			return k.Data
		}
	}
	return nil
}

// fingerprint identifies a ciphertext: the same bytes from the same device are the same
// message, whichever stanza brings them.
func (s *Inbound) fingerprint(m carrier.Message) [sha256.Size]byte {
	parts := [][]byte{[]byte(m.From.Key()), binary.BigEndian.AppendUint32(nil, uint32(m.Envelope.Sender))}
	for _, k := range m.Envelope.Keys {
		if k.Device == s.Account.Device || s.peers.WasOurs(k.Device) {
			parts = append(parts, k.Data)
		}
	}
	return digest(append(parts, m.Envelope.IV, m.Envelope.Payload)...)
}

// digest hashes parts so that different lists of parts have different hashes.
func digest(parts ...[]byte) [sha256.Size]byte {
	h := sha256.New()
	for _, p := range parts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write(p)
	}
	return [sha256.Size]byte(h.Sum(nil))
}
