package customer

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/signal"
)

// handler receives what arrives from the carrier, one event after another.
type handler struct {
	c *Customer
	// announced holds the formats in which our device was listed since the link came up.
	announced map[carrier.Format]bool
	// changed holds peers whose identity changed in a message without content: the next
	// message with content tells it.
	changed map[phone.Number]bool
	shown   shown
}

// receive receives one event (carrier.OneByOne).
func (h *handler) receive(_ context.Context, ev carrier.Event) error {
	switch ev := ev.(type) {
	case carrier.Connected:
		h.connected(ev.Resumed)
	case carrier.OwnDeviceList:
		h.ownDevices(ev.Format, ev.Devices)
	case carrier.Message:
		return h.message(ev)
	case carrier.Receipt:
		h.receipt(ev)
	case carrier.Bounce:
		h.c.emit(Event{Kind: Bounced, Peer: ev.To, ID: ev.ID})
	case carrier.DeviceList:
		h.c.setDevices(listKey{ev.Peer, ev.Format}, ev.Devices)
	case carrier.Unread:
		h.unread(ev)
	case carrier.Typing:
		if ev.Composing {
			h.c.emit(Event{Kind: Typing, Peer: ev.From})
		}
	case carrier.Reaction:
		h.reaction(ev)
	case carrier.CaughtUp: // a customer keeps no position
	case carrier.ContactAnswer: // the next attempt fetches what was hidden
	}
	return nil
}

// connected publishes our bundle. The device list follows once the carrier has said which
// devices the account lists already: clients that read the list look for the bundle at once.
func (h *handler) connected(resumed bool) {
	if resumed {
		h.c.emit(Event{Kind: Online})
		return
	}
	h.announced = map[carrier.Format]bool{}
	h.c.later("publish the bundle", h.c.publishBundle)
}

// ownDevices puts our device on the list, also when another client removed it.
func (h *handler) ownDevices(f carrier.Format, devices []carrier.DeviceID) {
	if !slices.Contains(h.c.Formats, f) {
		return
	}
	known := len(h.announced)
	h.announced[f] = true
	last := len(h.announced) > known && len(h.announced) == len(h.c.Formats)
	h.c.later("publish the device list", func(ctx context.Context) error {
		if err := h.c.publishDevice(ctx, f, devices); err != nil {
			return err
		}
		if last {
			h.c.emit(Event{Kind: Online})
		}
		return nil
	})
}

// message opens a message, stores the session's step and only then shows the message.
func (h *handler) message(m carrier.Message) error {
	var opened omemo.Opened
	if m.Other != nil && !slices.ContainsFunc(m.Envelope.Keys, func(k carrier.Key) bool { return k.Device == h.c.State.account.Device }) {
		m.Envelope = *m.Other // the one for devices like ours
	}
	err := h.c.State.update(func(t *tx) (err error) {
		stranger := t.stranger(m.From, m.Envelope.Sender)
		opened, err = h.c.State.account.Open(t, m, h.c.Now())
		opened.IdentityChanged = opened.IdentityChanged || opened.NewSession && stranger
		t.wrote(m.From, m.Envelope.Sender, h.c.Now()) // undone by an error
		return err
	})
	if errors.Is(err, errStorage) {
		return err
	}
	if err != nil {
		h.unreadable(m, err)
		return nil
	}
	if opened.PreKeyUsed {
		h.c.later("publish the bundle", h.c.publishBundle)
	}
	if opened.NewSession || opened.Heartbeat {
		h.c.later("answer a session", func(ctx context.Context) error {
			_, err := h.c.send(ctx, m.From, omemo.Saying{})
			return err
		})
	}
	h.said(m, opened)
	return nil
}

// said shows what a message says, and confirms it.
func (h *handler) said(m carrier.Message, opened omemo.Opened) {
	for _, r := range opened.Receipts {
		h.receipt(r)
	}
	m.WantsReceipt, m.WantsRead = m.WantsReceipt || opened.WantsReceipt, m.WantsRead || opened.WantsRead
	for _, r := range []*carrier.Reaction{opened.Reaction, m.Reaction} {
		if r != nil && (r.Encrypted || opened.Reaction == nil) {
			h.reaction(*r)
		}
	}
	if opened.Text != nil || opened.Reaction != nil {
		h.acknowledge(m)
	}
	opened.Text = opened.Words()
	if opened.Text == nil || h.shown.again(m, opened.Text) {
		if opened.IdentityChanged {
			h.changed[m.From] = true
		}
		return
	}
	opened.IdentityChanged = opened.IdentityChanged || h.changed[m.From]
	delete(h.changed, m.From)
	refs, outside := opened.Refers(m)
	h.c.emit(Event{Kind: Received, Peer: m.From, ID: m.ID, Text: string(opened.Text), Time: m.Time, References: refs, Clear: outside.Reply || outside.Corrects, IdentityChanged: opened.IdentityChanged})
}

func (h *handler) reaction(r carrier.Reaction) {
	h.c.emit(Event{Kind: Reacted, Peer: r.From, ID: r.About, Text: strings.Join(r.Emoji, ""), Time: r.Time, Clear: !r.Encrypted})
}

// acknowledge sends the receipts that the peer asked for. What arrives in a terminal counts as
// read.
func (h *handler) acknowledge(m carrier.Message) {
	if m.ID == "" {
		return
	}
	var receipts []carrier.OutgoingReceipt
	if m.WantsReceipt {
		receipts = append(receipts, carrier.OutgoingReceipt{To: m.From, ID: m.ID, Kind: carrier.Delivered})
	}
	if m.WantsRead {
		receipts = append(receipts, carrier.OutgoingReceipt{To: m.From, ID: m.ID, Kind: carrier.Read})
	}
	if receipts == nil {
		return
	}
	h.c.later("send receipts", func(ctx context.Context) error {
		return retry(ctx, func() error { return h.c.Carrier.SendReceipts(ctx, receipts...) })
	})
}

// unreadable decides what to do about a message that could not be opened.
func (h *handler) unreadable(m carrier.Message, err error) {
	if errors.Is(err, signal.ErrReplay) || errors.Is(err, omemo.ErrNotForUs) {
		return
	}
	h.c.Log.Warn("a message could not be opened", "error", err)
	h.c.emit(Event{Kind: Unreadable, Peer: m.From, ID: m.ID, Time: m.Time, Err: err})
	for _, mends := range []error{signal.ErrNoSession, signal.ErrUnknownPreKey, signal.ErrUnauthenticated, signal.ErrTooFarAhead} {
		if errors.Is(err, mends) {
			h.c.later("repair a session", func(ctx context.Context) error { return h.c.repair(ctx, m.From, m.Envelope.Sender, m.Envelope.Format) })
			return
		}
	}
}

func (h *handler) receipt(r carrier.Receipt) {
	kind := Delivered
	switch r.Kind {
	case carrier.Unreadable:
		return
	case carrier.Read:
		kind = Read
	case carrier.Delivered:
	}
	h.c.emit(Event{Kind: kind, Peer: r.From, ID: r.ID})
}

func (h *handler) unread(u carrier.Unread) {
	kind := Unreadable
	if u.Kind == carrier.InClear {
		kind = Plaintext
	}
	h.c.emit(Event{Kind: kind, Peer: u.From, ID: u.ID, Time: u.Time})
}
