package message_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// said is a conversation that has begun: what both sides know of its first messages.
type said struct {
	*person
	question       string // of the business, as it knows it
	questionStanza string // as the customer knows it
	own            string // of the customer, as the business knows it
	ownStanza      string
}

// begun begins a conversation.
func begun(w *world, dir string) said {
	w.t.Helper()
	s := said{person: w.customer(dir, alice)}
	s.ownStanza = s.says(w.number, "Do you have it in green?")
	s.own = w.take()[0].ID
	s.question = w.says(s.number, "We do. Which size?")
	w.take()
	s.questionStanza = w.carrier.LastText().ID
	return s
}

// about sends a text that is about another message.
func (p *person) about(text string, refs carrier.References) string {
	p.t.Helper()
	p.world.keepSecret(text)
	id, err := p.SendAbout(context.Background(), p.world.number, text, refs)
	check(p.t, err)
	return id
}

// next is the only thing that the business got.
func (w *world) next() event {
	w.t.Helper()
	got := w.take()
	if len(got) != 1 {
		w.t.Fatalf("the business got %d things: %+v", len(got), got)
	}
	return got[0]
}

func TestReply_NamesTheAnsweredMessageWithoutItsQuote(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		s := begun(w, dir)
		business, customer := w.number.Digits(), s.number.Digits()
		quoted := "> We do. Which size?\n"
		reply := func(id string, end int) carrier.References {
			return carrier.References{ReplyTo: id, Quote: carrier.Range{End: end}}
		}
		for _, tc := range []struct {
			what, text        string
			refs              carrier.References
			rest, to, by, not string // what is not encrypted
		}{
			{"with a range", quoted + "42", reply(s.questionStanza, len(quoted)), "42", s.question, business, "context"},
			{"without a range", quoted + "43", reply(s.questionStanza, 0), "43", s.question, business, "context"},
			{"without a quote", "44", reply(s.questionStanza, 0), "44", s.question, business, "context"},
			{"to an own message", "> Do you have it in green?\n45", reply(s.ownStanza, 27), "45", s.own, customer, "context"},
			{"without an element", quoted + "46", carrier.References{}, "46", s.question, business, ""},
			{"by Converse", "> " + w.number.E164() + "@relay.test:\n" + quoted + "47", carrier.References{}, "47", s.question, business, ""},
			{"with words that the business did not say", "> We do, and it is free.\n48", reply(s.questionStanza, 25), "> We do, and it is free.\n48", s.question, business, "context"},
			{"with its own words in the business's name", "> " + w.number.E164() + "@relay.test:\n> Do you have it in green?\n49", carrier.References{}, "> " + w.number.E164() + "@relay.test:\n> Do you have it in green?\n49", "", "", ""},
			{"that quotes what nobody said", "> Yes, it is free\n50", carrier.References{}, "> Yes, it is free\n50", "", "", ""},
			{"to an unknown message", "51", reply("unknown", 0), "51", "", "", ""},
			{"a range over words that are no quote", "52 and not 53", reply(s.questionStanza, 7), "52 and not 53", s.question, business, "context"},
		} {
			s.about(tc.text, tc.refs)
			got := w.next()
			if got.Type != "text" || got.Text != tc.rest || got.Context != tc.to || got.ContextFrom != tc.by || got.Clear != tc.not || got.Unencrypted {
				t.Errorf("a reply %s is %+v", tc.what, got)
			}
		}
	})
}

// The name of a customer without a number may be part of the business's.
func TestReply_QuotesTheBusinessUnderANameThatHoldsTheCustomers(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.nameless(dir, "anna.b")
		a.says(w.number, "hello")
		question := w.tells(w.take()[0].User, "We do. Which size?")
		w.take()
		for author, want := range map[string]string{"hanna.bakery": question, "anna.b@relay.test": "", "xmpp:Anna.B": ""} {
			a.says(w.number, "> "+author+":\n> We do. Which size?\n42")
			if got := w.next(); got.Context != want {
				t.Errorf("%s: %+v", author, got)
			}
		}
	})
}

func TestReply_ToWordsThatWereSaidTwiceStaysText(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		s := begun(w, dir)
		w.says(s.number, "We do. Which size?")
		w.take()
		s.says(w.number, "> We do. Which size?\n42")
		if got := w.next(); got.Context != "" || got.Text != "> We do. Which size?\n42" {
			t.Errorf("the business got %+v", got)
		}
	})
}

func TestReply_ToAnothersMessageIsNone(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		s := begun(w, dir+"/a")
		b := w.customer(dir+"/b", "+491702222222")
		b.about("> We do. Which size?\nmine too", carrier.References{ReplyTo: s.questionStanza, Quote: carrier.Range{End: 21}})
		if got := w.next(); got.Context != "" || !strings.HasPrefix(got.Text, "> ") {
			t.Errorf("the business got %+v", got)
		}
	})
}

func TestReply_ComesOnceAlthoughItIsSentTwice(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		s := begun(w, dir)
		id := s.about("> We do. Which size?\n42", carrier.References{ReplyTo: s.questionStanza})
		w.take()
		again := s.carrier.LastText()
		s.about("> We do. Which size?\n42", carrier.References{ReplyTo: s.questionStanza})
		w.take()
		copied := s.carrier.LastText() // another ciphertext under the first one's id
		copied.ID = id
		check(t, w.brings(again, copied))
		if got := w.take(); len(got) != 0 {
			t.Errorf("the business got %+v", got)
		}
	})
}

func TestCorrection_OfAnOwnMessageIsAnEdit(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		s := begun(w, dir)
		first := s.about("Do you have it in blue?", carrier.References{Corrects: s.ownStanza})
		got := w.next()
		if got.Type != "edit" || got.About != s.own || got.Text != "Do you have it in blue?" || got.Clear != "edit.original_message_id" || got.Unencrypted {
			t.Errorf("the business got %+v", got)
		}
		// Clients name the first message, or the correction before.
		s.about("Do you have it in red?", carrier.References{Corrects: first})
		if got := w.next(); got.Type != "edit" || got.About != s.own {
			t.Errorf("the second correction is %+v", got)
		}
		s.about("> We do. Which size?\nin pink?", carrier.References{Corrects: s.ownStanza, ReplyTo: s.questionStanza})
		if got := w.next(); got.About != s.own || got.Context != s.question || got.Text != "in pink?" || got.Clear != "edit.original_message_id edit.message.context" {
			t.Errorf("a corrected reply is %+v", got)
		}
	})
}

func TestCorrection_OfAnythingElseIsAnotherText(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		s := begun(w, dir+"/a")
		b := w.customer(dir+"/b", "+491702222222")
		for what, send := range map[string]func(){
			"the business's message": func() { s.about("We do not.", carrier.References{Corrects: s.questionStanza}) },
			"an unknown message":     func() { s.about("Nothing.", carrier.References{Corrects: "unknown"}) },
			"another's message":      func() { b.about("Not at all.", carrier.References{Corrects: s.ownStanza}) },
		} {
			send()
			if got := w.next(); got.Type != "text" || got.About != "" {
				t.Errorf("a correction of %s is %+v", what, got)
			}
		}
	})
}

func TestCorrection_AfterTheRetentionIsAnotherText(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		s := begun(w, dir)
		w.stop()
		elapse(25 * time.Hour)
		w.start()
		s.says(w.number, "Still there?") // the session lives on in the next epoch
		w.take()
		live := w.ring.Live()
		_, err := w.store.Sweep(t.Context(), live[len(live)-1].Created)
		check(t, err)
		s.about("> We do. Which size?\nDo you have it in blue?", carrier.References{Corrects: s.ownStanza, ReplyTo: s.questionStanza})
		if got := w.next(); got.Type != "text" || got.About != "" || got.Context != "" || got.Text != "> We do. Which size?\nDo you have it in blue?" {
			t.Errorf("the business got %+v", got)
		}
	})
}

func TestCorrection_InClearChangesNothingUnlessClearTextIsAccepted(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		s := begun(w, dir)
		plain := inClear(s.number, "c", "in black")
		plain.References.Corrects = s.ownStanza
		refused := plain
		refused.Text, refused.References = "", carrier.References{} // as the carrier hands it over
		check(t, w.brings(refused))
		if got := w.next(); got.Type != "unsupported" || got.About != "" {
			t.Errorf("refused, it is %+v", got)
		}
		w.stop()
		w.accept = true
		w.start()
		plain.ID = "d"
		check(t, w.brings(plain))
		if got := w.next(); got.Type != "edit" || got.About != s.own || got.Text != "in black" || !got.Unencrypted || got.Clear != "" {
			t.Errorf("accepted, it is %+v", got)
		}
	})
}

func TestReaction_ToBothSidesMessagesIsTold(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		s := begun(w, dir)
		react := func(about string, emoji ...string) { check(t, w.brings(reaction(s.number, about, emoji...))) }
		for _, step := range []struct {
			stanza, about string
			sent          []string
			emoji         string
		}{
			{s.questionStanza, s.question, []string{"👍"}, "👍"},
			{s.questionStanza, s.question, []string{"👍", "🐢"}, "🐢"},
			{s.ownStanza, s.own, []string{"❤️"}, "❤️"},
			{s.questionStanza, s.question, nil, ""},
		} {
			react(step.stanza, step.sent...)
			got := w.next()
			if got.Type != "reaction" || got.About != step.about || got.Emoji != step.emoji || got.HasEmoji != (step.emoji != "") || !got.Unencrypted || got.From != s.number.Digits() {
				t.Errorf("%q is told as %+v", step.sent, got)
			}
			react(step.stanza, step.sent...) // from the archive
			if got := w.take(); len(got) != 0 {
				t.Errorf("%q is told again: %+v", step.sent, got)
			}
		}
		if n := w.Count(message.EventReaction); n != 4 {
			t.Errorf("%d reactions were counted", n)
		}
	})
}

func TestReaction_ThatCannotCountIsRefused(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		s := begun(w, dir+"/a")
		b := w.customer(dir+"/b", "+491702222222")
		b.says(w.number, "hello")
		w.take()
		late := reaction(s.number, s.questionStanza, "👎")
		late.Time = time.Now().Add(-time.Hour)
		check(t, w.brings(reaction(s.number, s.questionStanza, "👍")))
		w.take()
		for what, step := range map[string]struct {
			sent carrier.Reaction
			why  carrier.UnreadKind
		}{
			"of an unknown message":   {reaction(s.number, "unknown", "👍"), carrier.UnknownReference},
			"of another's message":    {reaction(b.number, s.questionStanza, "👍"), carrier.UnknownReference},
			"that is a text":          {reaction(s.number, s.questionStanza, "I agree to pay"), carrier.NotEmoji},
			"of a stranger":           {reaction(number(t, "+491703333333"), s.questionStanza, "👍"), ""},
			"that was made before":    {late, ""},
			"without an id to answer": {carrier.Reaction{From: s.number, About: "unknown", Emoji: []string{"👍"}, Time: time.Now()}, ""},
		} {
			before := len(w.carrier.Refusals())
			check(t, w.brings(step.sent))
			if got := w.take(); len(got) != 0 {
				t.Errorf("a reaction %s is told: %+v", what, got)
			}
			told := w.carrier.Refusals()[before:]
			if step.why == "" && len(told) != 0 || step.why != "" && (len(told) != 1 || told[0].Kind != step.why || told[0].To != step.sent.From) {
				t.Errorf("the client of a reaction %s was told %+v", what, told)
			}
		}
	})
}

func TestReactions_TenThousandAreBounded(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		s := begun(w, dir)
		w.mu.Lock()
		w.away = true
		w.mu.Unlock()
		const many = 10_000
		events := make([]carrier.Event, 0, many)
		for i := range many {
			r := reaction(s.number, s.questionStanza, []string{"👍", "👎"}[i%2])
			r.ID = fmt.Sprint(i)
			events = append(events, r)
		}
		for len(events) > 0 {
			n := min(1000, len(events))
			check(t, w.brings(events[:n]...))
			events = events[n:]
		}
		w.back()
		elapse(time.Minute)
		if got := len(w.take()); got == 0 || got > 300 {
			t.Errorf("the business got %d reactions", got)
		}
		if n := w.OverQuota(message.OverQuotaInbound); n < 4500 { // the others say what was stored last
			t.Errorf("%d were refused", n)
		}
		kept, err := w.Person(t.Context(), s.number, "", 500)
		check(t, err)
		if len(kept.Messages) != 2 {
			t.Errorf("%d messages are stored", len(kept.Messages))
		}
		check(t, w.brings(reaction(s.number, s.ownStanza, "❤️")))
		if got := w.next(); got.Emoji != "❤️" {
			t.Errorf("the next one is %+v", got)
		}
	})
}

func TestRetraction_OfAnOwnMessageIsTold(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		s := begun(w, dir)
		edit := s.about("Do you have it in blue?", carrier.References{Corrects: s.ownStanza})
		w.take()
		retract := func(about string) {
			check(t, w.brings(carrier.Retraction{ID: "r", From: s.number, Resource: "phone", About: about, Time: time.Now()}))
		}
		retract(edit)
		if got := w.next(); got.Type != "revoke" || got.About != s.own || !got.Unencrypted {
			t.Errorf("the business got %+v", got)
		}
		for _, about := range []string{s.ownStanza, edit, s.questionStanza, "unknown"} {
			retract(about)
			if got := w.take(); len(got) != 0 {
				t.Errorf("the business got %+v", got)
			}
		}
		if told := w.carrier.Refusals(); len(told) != 2 || told[0].Kind != carrier.UnknownReference {
			t.Errorf("the client was told %+v", told)
		}
		kept, err := w.Person(t.Context(), s.number, "", 500)
		check(t, err)
		if first := string(kept.Messages[0].Content); !strings.Contains(first, "green") || !strings.Contains(first, `"revoked":true`) {
			t.Errorf("what is stored of it is %s", first)
		}
		s.about("> Do you have it in green?\nNever mind.", carrier.References{ReplyTo: s.ownStanza})
		if got := w.next(); got.Context != s.own || got.Text != "Never mind." {
			t.Errorf("a reply to it is %+v", got)
		}
	})
}

func TestRetraction_OfAMessageInPartsTakesAllOfThemBack(t *testing.T) {
	dir := t.TempDir()
	inBubbleWith(t, func(w *world) { w.web = newWeb() }, func(t *testing.T, w *world) {
		s := begun(w, dir)
		told := func(about string) (ids []string) {
			t.Helper()
			check(t, w.brings(carrier.Retraction{ID: "r", From: s.number, About: about, Time: time.Now()}))
			for _, e := range w.take() {
				if e.Type == "revoke" {
					ids = append(ids, e.About)
				}
			}
			return ids
		}
		reply := s.about("> We do. Which size?\n42", carrier.References{ReplyTo: s.questionStanza})
		if id := w.next().ID; !slices.Equal(told(reply), []string{id}) {
			t.Error("a reply whose quote was cut off is not taken back alone")
		}
		link, other := media.NewFileURL(), media.NewFileURL()
		link.URL, other.URL = "https://up.test:5281/1/a.png", "https://up.test:5281/2/b.png"
		both := s.about(link.Text()+"\n"+other.Text()+"\nlook", carrier.References{})
		elapse(2 * time.Hour)
		var parts []string
		for _, e := range w.take() {
			parts = append(parts, e.ID)
		}
		got := told(both)
		slices.Sort(parts)
		slices.Sort(got)
		if len(parts) < 2 || !slices.Equal(got, parts) {
			t.Errorf("%d parts came, %d were taken back", len(parts), len(got))
		}
	})
}

// reaction is one that arrives now.
func reaction(from phone.Number, about string, emoji ...string) carrier.Reaction {
	return carrier.Reaction{ID: "r-" + about, From: from, Resource: "phone", About: about, Emoji: emoji, Time: time.Now()}
}
