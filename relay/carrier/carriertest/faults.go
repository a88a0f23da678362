package carriertest

import (
	"slices"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
)

// Lose has the next calls of Send fail for want of a link.
func (l *Link) Lose(times int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fails = slices.Repeat([]error{carrier.ErrOffline}, times)
}

// LoseUnconfirmed has the link break in the next calls of Send, after the carrier took
// what they send.
func (l *Link) LoseUnconfirmed(times int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fails, l.silently = slices.Repeat([]error{carrier.ErrUnconfirmed}, times), true
}

// Losing returns how many calls are left that fail.
func (l *Link) Losing() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.fails)
}

// Bounce has messages come back.
func (l *Link) Bounce(f func(o carrier.Outgoing) (back, temporary bool)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bounces = f
}

// Last returns the last message that was sent, with content or without, as it would
// arrive from a client that asks for no read receipt.
func (l *Link) Last() carrier.Message {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.sent[len(l.sent)-1]
	return carrier.Message{ID: o.ID, From: l.own, Envelope: o.Envelope, Time: time.Now(), WantsReceipt: o.Receipts}
}

// Texts returns what was sent with content.
func (l *Link) Texts() []carrier.Outgoing {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []carrier.Outgoing
	for _, o := range l.sent {
		if o.Envelope.Payload != nil {
			out = append(out, o)
		}
	}
	return out
}

// LastText returns the last message with content that was sent, as it arrived.
func (l *Link) LastText() carrier.Message {
	sent := l.Texts()
	return l.arriving(sent[len(sent)-1])
}

// Fail has the next calls of Send return these errors. What is sent is lost, or with
// delivered arrives nevertheless.
func (l *Link) Fail(delivered bool, errs ...error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fails, l.silently = errs, delivered
}

// HideOthers has nobody's device list or bundle be found.
func (l *Link) HideOthers() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unknown = true
}

// Fetches counts the device lists and bundles that were asked for.
func (l *Link) Fetches() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fetched
}

// Refusals returns what clients were told that was refused.
func (l *Link) Refusals() []Refusal {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.refusals)
}
