package message_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/message"
)

// answers has the business answer a message.
func (w *world) answers(to *person, text, about string) string {
	w.t.Helper()
	w.keepSecret(text)
	id, err := w.AcceptText(w.t.Context(), message.Text{To: to.number, Body: text, ReplyTo: about})
	check(w.t, err)
	return id
}

// shown is what the customer's client got last.
func (p *person) shown() customer.Event {
	p.t.Helper()
	all := p.all(customer.Received)
	if len(all) == 0 {
		p.t.Fatal("the customer got nothing")
	}
	return all[len(all)-1]
}

func TestSentReply_QuotesInsideTheEncryptionAndNamesTheMessage(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		s := begun(w, dir)
		quoted := "> Do you have it in green?\n"
		id := w.answers(s.person, "In every size.", s.own)
		if got := statuses(w.take(), id); !slices.Equal(got, []string{"sent", "delivered", "read"}) {
			t.Errorf("its statuses are %q", got)
		}
		want := carrier.References{ReplyTo: s.ownStanza, Quote: carrier.Range{End: len(quoted)}}
		if got := s.shown(); got.Text != quoted+"In every size." || got.References != want {
			t.Errorf("the customer got %q, %+v", got.Text, got.References)
		}
		kept, err := w.Person(t.Context(), s.number, "", 500)
		check(t, err)
		if last := string(kept.Messages[len(kept.Messages)-1].Content); strings.Contains(last, "green") {
			t.Errorf("the quote is stored, and outlives what it quotes: %s", last)
		}
		w.answers(s.person, "Still there?", s.question)
		w.take()
		if got := s.shown(); got.Text != "> We do. Which size?\nStill there?" || got.References.ReplyTo != s.questionStanza || !got.References.ReplyToOwn {
			t.Errorf("the customer got %q, %+v", got.Text, got.References)
		}
	})
}

func TestSentReply_ToNothingThatIsStoredIsSentWithoutContext(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		s := begun(w, dir+"/a")
		b := w.customer(dir+"/b", "+491702222222")
		b.says(w.number, "Mine is another matter.")
		anothers := w.next().ID
		for _, about := range []string{"wamid.unknown", anothers} {
			id := w.answers(s.person, "Here you are, "+about, about)
			if got := statuses(w.take(), id); len(got) != 3 {
				t.Errorf("its statuses are %q", got)
			}
			if got := s.shown(); got.Text != "Here you are, "+about || got.References != (carrier.References{}) {
				t.Errorf("the customer got %q, %+v", got.Text, got.References)
			}
		}
		check(t, w.brings(carrier.Retraction{ID: "r", From: s.number, About: s.ownStanza, Time: time.Now()}))
		w.take()
		w.answers(s.person, "As you wish.", s.own)
		w.take()
		if got := s.shown(); got.Text != "As you wish." || got.References != (carrier.References{ReplyTo: s.ownStanza}) {
			t.Errorf("after the retraction, the customer got %q, %+v", got.Text, got.References)
		}
	})
}

func TestSentReply_ComesBackAndGoesAgainAsItWas(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		s := begun(w, dir)
		times := 0
		w.carrier.Bounce(func(o carrier.Outgoing) (back, temporary bool) {
			times++
			return times == 1, true
		})
		w.answers(s.person, "In every size.", s.own)
		w.take()
		elapse(time.Minute)
		sent := w.carrier.Texts()
		first, again := sent[len(sent)-2], sent[len(sent)-1]
		if first.ID != again.ID || first.References != again.References || again.References.Quote.End == 0 {
			t.Errorf("it was sent with %+v, then with %+v", first.References, again.References)
		}
		if got := s.shown(); !strings.HasSuffix(got.Text, "?\nIn every size.") {
			t.Errorf("the customer got %q", got.Text)
		}
	})
}

func TestSentReply_WithAFileIsNamedByItsCaption(t *testing.T) {
	dir := t.TempDir()
	inBubbleWith(t, func(w *world) { w.web = newWeb() }, func(t *testing.T, w *world) {
		s := begun(w, dir)
		file := w.keeps("image/png", picture())
		send := func(caption string) {
			t.Helper()
			_, err := w.AcceptAttachment(t.Context(), message.Attachment{To: s.number, Kind: media.Image, ID: file, Caption: caption, ReplyTo: s.own})
			check(t, err)
			w.take()
		}
		send("This one.")
		got := s.all(customer.Received)
		picture, caption := got[len(got)-2], got[len(got)-1]
		if strings.Contains(picture.Text, "\n") || picture.References.ReplyTo != s.ownStanza || picture.References.Quote.End != 0 {
			t.Errorf("the file is %+v", picture.References)
		}
		if caption.Text != "> Do you have it in green?\nThis one." || caption.References.ReplyTo != s.ownStanza {
			t.Errorf("its caption is %q, %+v", caption.Text, caption.References)
		}
	})
}

func TestSentReaction_IsAnEncryptedTextUnlessClearMetadataIsAllowed(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		s := begun(w, dir)
		react := func(about, emoji string) string {
			t.Helper()
			id, err := w.AcceptReaction(t.Context(), message.Reaction{To: s.number, About: about, Emoji: emoji, Opaque: "opaque"})
			check(t, err)
			return id
		}
		for emoji, text := range map[string]string{"👍": "👍", "": "(reaction removed)"} {
			id := react(s.own, emoji)
			if got := statuses(w.take(), id); !slices.Equal(got, []string{"sent"}) {
				t.Errorf("its statuses are %q", got)
			}
			if got := s.shown(); got.Text != "> Do you have it in green?\n"+text || got.References.ReplyTo != s.ownStanza {
				t.Errorf("the customer got %q, %+v", got.Text, got.References)
			}
		}
		if got := w.carrier.Reactions(); len(got) != 0 {
			t.Errorf("in clear went %+v", got)
		}
		w.stop()
		w.clear = true
		w.start()
		w.take()
		before := len(s.got())
		for _, emoji := range []string{"👍", ""} {
			id := react(s.own, emoji)
			if got := statuses(w.take(), id); !slices.Equal(got, []string{"sent"}) {
				t.Errorf("its statuses are %q", got)
			}
			if got := s.all(customer.Reacted); got[len(got)-1].ID != s.ownStanza || got[len(got)-1].Text != emoji {
				t.Errorf("the customer got %+v", got)
			}
		}
		if len(s.got()) != before {
			t.Error("a reaction in clear is a text, too")
		}
	})
}

func TestSentReaction_ToNothingThatIsStoredFails(t *testing.T) {
	dir := t.TempDir()
	for name, inTheClear := range map[string]bool{"encrypted": false, "in clear": true} {
		t.Run(name, func(t *testing.T) {
			inBubbleWith(t, func(w *world) { w.clear = inTheClear }, func(t *testing.T, w *world) {
				s := begun(w, dir+"/"+name)
				id, err := w.AcceptReaction(t.Context(), message.Reaction{To: s.number, About: "wamid.unknown", Emoji: "👍"})
				check(t, err)
				if got := w.next(); got.ID != id || got.Status != "failed" || got.Code != 131009 {
					t.Errorf("the business got %+v", got)
				}
			})
		})
	}
}
