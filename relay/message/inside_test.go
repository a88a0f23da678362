package message_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/message"
)

// begunIn is begun with a customer whose client speaks those formats.
func begunIn(w *world, dir string, formats ...carrier.Format) said {
	w.t.Helper()
	w.formats = formats
	return begun(w, dir)
}

// reacts reacts to a message, inside the encryption.
func (p *person) reacts(about, emoji string) {
	p.t.Helper()
	check(p.t, p.React(context.Background(), p.world.number, about, emoji))
}

// takesBack takes a message back, inside the encryption.
func (p *person) takesBack(about string) {
	p.t.Helper()
	check(p.t, p.TakeBack(context.Background(), p.world.number, about))
}

// reacted has the business react to the customer's message, and returns the statuses.
func (s said) reacted(about, emoji string) []string {
	s.t.Helper()
	id, err := s.world.AcceptReaction(s.t.Context(), message.Reaction{To: s.number, About: about, Emoji: emoji})
	check(s.t, err)
	return statuses(s.world.take(), id)
}

func TestInside_WhatACustomerSaysAboutOthersIsNotToldAsClear(t *testing.T) {
	dir := t.TempDir()
	inOMEMO2(t, func(t *testing.T, w *world) {
		s := begunIn(w, dir, carrier.OMEMO2)
		for _, step := range []struct {
			what string
			do   func()
			fits func(event) bool
		}{
			{"a reply", func() {
				s.about("> We do. Which size?\n42", carrier.References{ReplyTo: s.questionStanza, Quote: carrier.Range{End: 21}})
			}, func(e event) bool { return e.Type == "text" && e.Text == "42" && e.Context == s.question }},
			{"a correction of a reply", func() {
				s.about("> We do. Which size?\nin pink?", carrier.References{Corrects: s.ownStanza, ReplyTo: s.questionStanza})
			}, func(e event) bool {
				return e.Type == "edit" && e.About == s.own && e.Context == s.question && e.Text == "in pink?"
			}},
			{
				"a correction of the business's message", func() { s.about("We do not.", carrier.References{Corrects: s.questionStanza}) },
				func(e event) bool { return e.Type == "text" && e.About == "" },
			},
			{"a reaction", func() { s.reacts(s.questionStanza, "👍") }, func(e event) bool { return e.Type == "reaction" && e.About == s.question && e.Emoji == "👍" }},
			{"a reaction taken away", func() { s.reacts(s.questionStanza, "") }, func(e event) bool { return e.Type == "reaction" && !e.HasEmoji }},
			{"a retraction", func() { s.takesBack(s.ownStanza) }, func(e event) bool { return e.Type == "revoke" && e.About == s.own }},
		} {
			step.do()
			if got := w.next(); !step.fits(got) || got.Clear != "" || got.Unencrypted {
				t.Errorf("%s is %+v", step.what, got)
			}
			sent := s.carrier.Texts()
			if last := sent[len(sent)-1]; last.References != (carrier.References{}) {
				t.Errorf("%s goes outside, too: %+v", step.what, last.References)
			}
		}
		if n, m := w.Count(message.EventReaction), w.Count(message.EventRevoked); n != 2 || m != 1 {
			t.Errorf("%d reactions and %d retractions were counted", n, m)
		}
	})
}

func TestInside_WhatCannotCountIsRefused(t *testing.T) {
	dir := t.TempDir()
	inOMEMO2(t, func(t *testing.T, w *world) {
		s := begunIn(w, dir+"/a", carrier.OMEMO2)
		b := w.customer(dir+"/b", "+491702222222")
		b.says(w.number, "hello")
		w.take()
		for what, step := range map[string]struct {
			do  func()
			why carrier.UnreadKind
		}{
			"a reaction to an unknown message":         {func() { s.reacts("unknown", "👍") }, carrier.UnknownReference},
			"a reaction to another's message":          {func() { b.reacts(s.questionStanza, "👍") }, carrier.UnknownReference},
			"a reaction that is a text":                {func() { s.reacts(s.questionStanza, "I agree to pay") }, carrier.NotEmoji},
			"a retraction of the business's":           {func() { s.takesBack(s.questionStanza) }, carrier.UnknownReference},
			"a retraction of another's message":        {func() { b.takesBack(s.ownStanza) }, carrier.UnknownReference},
			"a retraction of an unknown message":       {func() { s.takesBack("unknown") }, carrier.UnknownReference},
			"a reaction with very many bytes of emoji": {func() { s.reacts(s.questionStanza, strings.Repeat("👍", 100)) }, ""},
		} {
			before := len(w.carrier.Refusals())
			step.do()
			if got := w.take(); len(got) != 0 {
				t.Errorf("%s is told: %+v", what, got)
			}
			told := w.carrier.Refusals()[before:]
			if step.why == "" && len(told) != 0 || step.why != "" && (len(told) != 1 || told[0].Kind != step.why) {
				t.Errorf("the client of %s was told %+v", what, told)
			}
		}
		s.says(w.number, "The session goes on.")
		if got := w.next(); got.Text != "The session goes on." {
			t.Errorf("the business got %+v", got)
		}
	})
}

// The carrier adds elements to a stanza whose content says something about others itself.
func TestInside_WhatStandsOutsideTooDoesNotCount(t *testing.T) {
	dir := t.TempDir()
	inOMEMO2(t, func(t *testing.T, w *world) {
		s := begunIn(w, dir, carrier.OMEMO2)
		beside := carrier.Message{}
		w.tamper(func(m carrier.Message) carrier.Message {
			if m.From == s.number {
				m.References, m.Reaction, m.Retraction = beside.References, beside.Reaction, beside.Retraction
			}
			return m
		})
		beside.References.ReplyTo = s.ownStanza
		s.about("42", carrier.References{ReplyTo: s.questionStanza})
		if got := w.next(); got.Type != "text" || got.Context != s.question || got.Clear != "" {
			t.Errorf("a reply is %+v", got)
		}
		forged := reaction(s.number, s.ownStanza, "👎")
		beside = carrier.Message{Reaction: &forged}
		s.reacts(s.questionStanza, "👍")
		if got := w.next(); got.Type != "reaction" || got.About != s.question || got.Emoji != "👍" || got.Unencrypted {
			t.Errorf("a reaction is %+v", got)
		}
		// What is not inside counts as in Legacy. Converse corrects like this.
		beside = carrier.Message{References: carrier.References{Corrects: s.ownStanza}}
		s.about("44", carrier.References{ReplyTo: s.questionStanza})
		if got := w.next(); got.Type != "edit" || got.About != s.own || got.Context != s.question || got.Clear != "edit.original_message_id" {
			t.Errorf("a correction outside is %+v", got)
		}
		beside = carrier.Message{Reaction: &forged, Retraction: &carrier.Retraction{ID: "y", From: s.number, Resource: "phone", About: s.ownStanza, Time: time.Now()}}
		s.says(w.number, "46")
		types := map[string]event{}
		for _, e := range w.take() {
			types[e.Type] = e
		}
		if len(types) != 3 || !types["reaction"].Unencrypted || !types["revoke"].Unencrypted || types["text"].Text != "46" {
			t.Errorf("beside a text alone: %+v", types)
		}
	})
}

// Of an envelope that is a copy, or cannot be opened, what the carrier puts beside it does not count either.
func TestInside_WhatStandsBesideAnEnvelopeThatIsNotReadDoesNotCount(t *testing.T) {
	dir := t.TempDir()
	inOMEMO2(t, func(t *testing.T, w *world) {
		s := begunIn(w, dir, carrier.OMEMO2)
		s.reacts(s.questionStanza, "👍")
		w.take()
		forged := reaction(s.number, s.ownStanza, "👎")
		back := carrier.Retraction{ID: "y", From: s.number, Resource: "phone", About: s.ownStanza, Time: time.Now()}
		copied := s.carrier.Last()
		copied.Reaction, copied.Retraction, copied.Time = &forged, &back, time.Now()
		check(t, w.brings(copied))
		if got := w.take(); len(got) != 0 {
			t.Errorf("beside a copy: %+v", got)
		}
		w.tamper(func(m carrier.Message) carrier.Message {
			if m.From == s.number {
				m.Envelope.Payload = slices.Clone(m.Envelope.Payload)
				m.Envelope.Payload[0] ^= 1
				m.Reaction, m.Retraction = &forged, &back
			}
			return m
		})
		s.says(w.number, "46")
		if got := w.next(); got.Type != "unsupported" {
			t.Errorf("beside one that cannot be opened: %+v", got)
		}
	})
}

// A reaction that was held back is not told after a later one, whatever the carrier wrote in between.
func TestInside_AnOlderReactionIsNotTold(t *testing.T) {
	dir := t.TempDir()
	inOMEMO2(t, func(t *testing.T, w *world) {
		s := begunIn(w, dir, carrier.OMEMO2)
		begin := time.Now().Add(-time.Hour)
		var held carrier.Message
		w.tamper(func(m carrier.Message) carrier.Message {
			if m.From == s.number {
				held, m.Envelope.Keys = m, nil
			}
			return m
		})
		s.reacts(s.questionStanza, "👍")
		w.take()
		held.Time = begin
		w.tamper(func(m carrier.Message) carrier.Message {
			m.Time = begin.Add(time.Minute)
			return m
		})
		s.reacts(s.questionStanza, "👎")
		if got := w.next(); got.Emoji != "👎" || got.Unencrypted {
			t.Errorf("the reaction is %+v", got)
		}
		w.tamper(nil)
		forged := reaction(s.number, s.questionStanza, "😀")
		forged.Time = begin.Add(2 * time.Minute)
		check(t, w.brings(forged))
		if got := w.next(); got.Emoji != "😀" || !got.Unencrypted {
			t.Errorf("the one in clear is %+v", got)
		}
		check(t, w.brings(held))
		if got := w.take(); len(got) != 0 {
			t.Errorf("the one that was held back is told: %+v", got)
		}
		s.reacts(s.questionStanza, "👎")
		if got := w.next(); got.Emoji != "👎" || got.Unencrypted {
			t.Errorf("the last one is %+v", got)
		}
	})
}

// A carrier that writes first what the customer is about to say does not keep the business from learning that
// the customer said it.
func TestInside_CountsAlsoAfterTheSameOutside(t *testing.T) {
	dir := t.TempDir()
	inOMEMO2(t, func(t *testing.T, w *world) {
		s := begunIn(w, dir, carrier.OMEMO2)
		forged := reaction(s.number, s.questionStanza, "👍")
		forged.Time = time.Now().Add(time.Minute)
		var beside carrier.Message
		w.tamper(func(m carrier.Message) carrier.Message {
			if m.From == s.number {
				m.Reaction, m.Retraction = beside.Reaction, beside.Retraction
			}
			return m
		})
		beside = carrier.Message{Reaction: &forged, Retraction: &carrier.Retraction{ID: "y", From: s.number, Resource: "phone", About: s.ownStanza, Time: time.Now()}}
		s.says(w.number, "46")
		if got := w.take(); len(got) != 3 {
			t.Fatalf("the forged ones were told as %+v", got)
		}
		beside = carrier.Message{}
		s.reacts(s.questionStanza, "👍")
		if got := w.next(); got.Type != "reaction" || got.Emoji != "👍" || got.Unencrypted {
			t.Errorf("the customer's reaction is %+v", got)
		}
		s.reacts(s.questionStanza, "👍")
		if got := w.take(); len(got) != 0 {
			t.Errorf("the same reaction once more is told: %+v", got)
		}
		s.takesBack(s.ownStanza)
		if got := w.next(); got.Type != "revoke" || got.About != s.own || got.Unencrypted {
			t.Errorf("the customer's retraction is %+v", got)
		}
	})
}

func TestInside_TheBusinessRepliesAndReactsThere(t *testing.T) {
	dir := t.TempDir()
	for name, inTheClear := range map[string]bool{"encrypted": false, "clear metadata allowed": true} {
		t.Run(name, func(t *testing.T) {
			dir := dir + "/" + name
			inOMEMO2(t, func(t *testing.T, w *world) {
				w.stop()
				w.clear = inTheClear
				w.start()
				s := begunIn(w, dir, carrier.OMEMO2)
				w.answers(s.person, "We do, in 42.", s.own)
				w.take()
				if got := s.shown(); got.Text != "> Do you have it in green?\nWe do, in 42." || got.References.ReplyTo != s.ownStanza || got.References.Quote.End != 27 || got.Clear {
					t.Errorf("the reply is %+v", got)
				}
				for _, emoji := range []string{"👍", ""} {
					if got := s.reacted(s.own, emoji); !slices.Equal(got, []string{"sent"}) {
						t.Errorf("the statuses of %q are %q", emoji, got)
					}
					got := s.all(customer.Reacted)
					if last := got[len(got)-1]; last.ID != s.ownStanza || last.Text != emoji || last.Clear {
						t.Errorf("%q is %+v", emoji, last)
					}
				}
				for _, o := range w.carrier.Texts() {
					if o.References != (carrier.References{}) {
						t.Errorf("outside stands %+v", o.References)
					}
				}
				if len(w.carrier.Reactions()) != 0 || len(s.got()) != 2 {
					t.Errorf("%d reactions went in clear, and %d texts", len(w.carrier.Reactions()), len(s.got()))
				}
			})
		})
	}
}

func TestInside_ForDevicesOfLegacyTheReplyStandsOutsideToo(t *testing.T) {
	dir := t.TempDir()
	inOMEMO2(t, func(t *testing.T, w *world) {
		s := begunIn(w, dir+"/modern", carrier.OMEMO2)
		w.customerIn(dir+"/old", alice, carrier.Legacy).says(w.number, "from an older client")
		w.take()
		w.answers(s.person, "We do, in 42.", s.own)
		w.take()
		s.reacted(s.own, "👍")
		sent := w.carrier.Texts()
		for _, o := range sent[len(sent)-2:] {
			if got := formatsOf(o); got[carrier.Legacy] != 1 || got[carrier.OMEMO2] != 1 || o.References.ReplyTo != s.ownStanza || o.References.Quote.End != 27 {
				t.Errorf("it went in %v with %+v outside", got, o.References)
			}
		}
	})
}

// Whose devices do not all read it inside gets a reaction in clear, if that is allowed.
func TestInside_OneOlderDeviceMakesTheReactionGoInClear(t *testing.T) {
	dir := t.TempDir()
	inOMEMO2(t, func(t *testing.T, w *world) {
		w.stop()
		w.clear = true
		w.start()
		s := begunIn(w, dir+"/modern", carrier.OMEMO2)
		w.customerIn(dir+"/old", alice, carrier.Legacy).says(w.number, "from an older client")
		w.take()
		s.reacted(s.own, "👍")
		if got := w.carrier.Reactions(); len(got) != 1 || got[0].Emoji != "👍" {
			t.Errorf("in clear went %+v", got)
		}
	})
}

func TestInside_WithoutKeysTheReactionGoesInClear(t *testing.T) {
	dir := t.TempDir()
	inOMEMO2(t, func(t *testing.T, w *world) {
		w.stop()
		w.clear = true
		w.start()
		s := begunIn(w, dir, carrier.OMEMO2)
		w.hub.Change(func() { w.hub.Lists2[s.number] = []carrier.DeviceID{99} })
		check(t, w.brings(carrier.DeviceList{Peer: s.number, Format: carrier.OMEMO2, Devices: []carrier.DeviceID{99}}))
		w.take()
		if got := s.reacted(s.own, "👍"); !slices.Equal(got, []string{"sent"}) {
			t.Errorf("the statuses are %q", got)
		}
		if got := w.carrier.Reactions(); len(got) != 1 || got[0].Emoji != "👍" {
			t.Errorf("in clear went %+v", got)
		}
	})
}

func TestOptOut_BesideATextIsToldOnceAndTheClientIsNotRefused(t *testing.T) {
	dir := t.TempDir()
	inOMEMO2(t, func(t *testing.T, w *world) {
		s := begunIn(w, dir, carrier.OMEMO2)
		check(t, s.OptOut(context.Background(), w.number, "", []byte("Write in clear, please.")))
		events := w.take()
		if len(events) != 2 || events[0].Type != "unsupported" || strings.Contains(events[0].Details, "was told") || events[1].Text != "Write in clear, please." {
			t.Errorf("the business got %+v", events)
		}
		id := s.carrier.Last().ID
		check(t, s.OptOut(context.Background(), w.number, "", []byte("Write in clear, please.")))
		again := s.carrier.Last() // another ciphertext
		w.take()
		w.tamper(func(m carrier.Message) carrier.Message {
			if m.From == s.number {
				m.ID = id
			}
			return m
		})
		check(t, s.OptOut(context.Background(), w.number, "", []byte("Write in clear, please.")))
		if got := w.take(); len(got) != 0 || again.ID == id {
			t.Errorf("the copy is told: %+v", got)
		}
		if got := w.carrier.Refusals(); len(got) != 0 {
			t.Errorf("the client was told %+v", got)
		}
	})
}

// A customer asks for messages in clear (XEP-0384 v0.9, "Opt-out"): both sides are told that there are none.
func TestOptOut_IsToldAndNothingGoesInClear(t *testing.T) {
	dir := t.TempDir()
	inOMEMO2(t, func(t *testing.T, w *world) {
		s := begunIn(w, dir, carrier.OMEMO2)
		check(t, s.OptOut(context.Background(), w.number, "We must keep a record.", nil))
		if got := w.next(); got.Type != "unsupported" || got.Code != 131051 || !strings.Contains(got.Details, "without OMEMO encryption") || !strings.HasSuffix(got.Details, "We must keep a record.") {
			t.Errorf("the business got %+v", got)
		}
		if told := w.carrier.Refusals(); len(told) != 1 || told[0].Kind != carrier.OptedOut {
			t.Errorf("the client was told %+v", told)
		}
		id := w.says(s.number, "This is encrypted.")
		if got := statuses(w.take(), id); !slices.Equal(got, []string{"sent", "delivered", "read"}) {
			t.Errorf("the statuses are %q", got)
		}
		w.wantFormat(carrier.OMEMO2)
		s.says(w.number, "So is this.")
		if got := w.next(); got.Text != "So is this." || got.Unencrypted {
			t.Errorf("afterwards the business got %+v", got)
		}
	})
}
