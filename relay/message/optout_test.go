package message_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/message"
)

// preferences returns what the business was told of customers' preferences.
func preferences(events []event) (told []string) {
	for _, e := range events {
		if e.Preference != "" {
			told = append(told, e.Preference)
		}
	}
	return told
}

// received counts the texts that a customer's client showed.
func (p *person) received(text string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.events {
		if e.Kind == customer.Received && e.Text == text {
			n++
		}
	}
	return n
}

// writes has the business send a text, and says whether it may.
func (w *world) writes(p *person, marketing bool) error {
	w.t.Helper()
	_, err := w.AcceptText(context.Background(), message.Text{To: p.number, Body: "hello again", Marketing: marketing})
	if err != nil && !errors.Is(err, message.ErrOptedOut) {
		w.t.Fatal(err)
	}
	return err
}

func TestOptOut_AWordStopsTheBusinessUntilAnother(t *testing.T) {
	dir := t.TempDir()
	prepare := func(w *world) {
		w.optOut = &message.OptOut{Words: []string{"STOP", "Abbestellen"}, Back: []string{"Start"}, Confirmation: "stopped", BackConfirmation: "resumed"}
	}
	inBubbleWith(t, prepare, func(t *testing.T, w *world) {
		p := w.customer(dir, "+4930111111")
		says := func(text string) []string { t.Helper(); p.says(w.number, text); return preferences(w.take()) }
		if told := says("please stop sending me the stop sign"); told != nil || w.writes(p, true) != nil {
			t.Errorf("a word inside a message: %q", told)
		}
		w.settle()
		if told := says("  aBBestellen\n"); len(told) != 1 || told[0] != "stop" || p.received("stopped") != 1 {
			t.Errorf("the business was told %q, the customer %d times", told, p.received("stopped"))
		}
		if w.writes(p, false) == nil || w.writes(p, true) == nil {
			t.Error("the business may go on")
		}
		if told := says("stop"); told != nil || p.received("stopped") != 1 {
			t.Errorf("a second time: %q, %d confirmations", told, p.received("stopped"))
		}
		elapse(time.Minute)
		says("where is my parcel?")
		if w.writes(p, false) != nil || w.writes(p, true) == nil {
			t.Error("an answer is refused, or marketing is not")
		}
		elapse(25 * time.Hour)
		if w.writes(p, false) == nil {
			t.Error("a day later the business may write again")
		}
		w.stop()
		w.start()
		if w.writes(p, false) == nil {
			t.Error("a restart forgets the opt-out")
		}
		kept, err := w.Person(context.Background(), p.number, "", 10)
		if check(t, err); kept.OptedOut.IsZero() {
			t.Error("what is kept of the person does not say that they opted out")
		}
		if told := says("START"); len(told) != 1 || told[0] != "resume" || p.received("resumed") != 1 || w.writes(p, true) != nil {
			t.Errorf("the business was told %q", told)
		}
		says("stop")
		check(t, w.Erase(context.Background(), p.number))
		if w.writes(p, false) != nil {
			t.Error("an erasure leaves the opt-out")
		}
	})
}

func TestOptOut_OfMarketingLetsTheRestThrough(t *testing.T) {
	dir := t.TempDir()
	prepare := func(w *world) { w.optOut = &message.OptOut{Words: []string{"stop"}, MarketingOnly: true} }
	inBubbleWith(t, prepare, func(t *testing.T, w *world) {
		p := w.customer(dir, "+4930111111")
		p.says(w.number, "stop")
		w.settle()
		if w.writes(p, false) != nil || w.writes(p, true) == nil {
			t.Error("more is stopped than marketing, or less")
		}
	})
}

func TestOptOut_WithoutWordsNothingIsOne(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		p := w.customer(dir, "+4930111111")
		p.says(w.number, "stop")
		if told := preferences(w.take()); told != nil || w.writes(p, true) != nil {
			t.Errorf("the business was told %q", told)
		}
	})
}
