package message_test

import (
	"context"
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/rich"
)

// offers sends a message with the choices Yes and No, and returns its id and that of its stanza.
func (w *world) offers(to *person, kind string) (id, stanza string) {
	w.t.Helper()
	choices := []rich.Choice{{ID: kind + "-yes", Title: "Yes"}, {ID: kind + "-no", Title: "No"}}
	body := rich.Interactive{Body: "Shall we send it?", Sections: []rich.Section{{Choices: choices}}}.Text()
	id, err := w.AcceptText(context.Background(), message.Text{To: to.number, Body: body, Choices: choices, ChoiceKind: kind})
	check(w.t, err)
	w.take()
	return id, w.carrier.LastText().ID
}

func TestChoice_IsToldByTitleOrNumber(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		s := begun(w, dir)
		isText := func(text string) {
			t.Helper()
			s.says(w.number, text)
			if got := w.next(); got.Type != "text" || got.Text != text || got.Chosen != "" {
				t.Errorf("%q was told as %+v", text, got)
			}
		}
		isChoice := func(say func(), offer, kind, choice string) {
			t.Helper()
			say()
			got := w.next()
			if got.Type != "interactive" || got.Context != offer || got.ContextFrom != w.number.Digits() || got.ChoiceKind != kind || got.Chosen != choice || got.Text != "" {
				t.Errorf("told as %+v", got)
			}
		}
		says := func(text string) func() { return func() { s.says(w.number, text) } }
		isText("yes")
		isText("1")
		first, firstStanza := w.offers(s.person, "button_reply")
		isChoice(says("yes!"), first, "button_reply", "button_reply-yes")
		isChoice(says("2"), first, "button_reply", "button_reply-no")
		isText("3")
		isText("yes, but in green")
		isText("> Shall we not?\nyes") // quotes what nobody said
		w.says(s.number, "How many do you want?")
		w.take()
		isText("2") // about the last message, which offers nothing
		isText("No")
		isChoice(says("> Shall we send it?\n> 1. Yes\n> 2. No\nNo"), first, "button_reply", "button_reply-no")

		second, secondStanza := w.offers(s.person, "list_reply")
		isChoice(says("1."), second, "list_reply", "list_reply-yes")
		_, err := w.AcceptReaction(context.Background(), message.Reaction{To: s.number, About: s.own, Emoji: "👍"})
		check(t, err)
		w.take()
		isChoice(says("1."), second, "list_reply", "list_reply-yes")
		isChoice(func() { s.about("yes", carrier.References{ReplyTo: secondStanza}) }, second, "list_reply", "list_reply-yes")
		s.about("yes", carrier.References{ReplyTo: firstStanza})
		if got := w.next(); got.Type != "text" || got.Context != first || got.Clear != "context" {
			t.Errorf("a carrier can make a yes answer another question: %+v", got)
		}
		s.about("no", carrier.References{Corrects: s.ownStanza})
		if got := w.next(); got.Type != "edit" || got.Text != "no" {
			t.Errorf("a correction was told as %+v", got)
		}
	})
}

// The text below a file offers the choices, and an answer to it answers the file's message.
func TestChoice_BelowAFileIsToldAsTheFilesButton(t *testing.T) {
	withFiles(t, func(t *testing.T, w *world, a *person) {
		out := w.sends(message.Attachment{
			To: a.number, Kind: media.Image, ID: w.keeps("image/png", picture()), Caption: "Shall we send it?\n\n1. Yes",
			Choices: []rich.Choice{{ID: "yes-payload", Title: "Yes"}}, ChoiceKind: "button",
		})
		w.take()
		a.says(w.number, "yes")
		if got := w.take(); len(got) != 1 || got[0].Type != "button" || got[0].Context != out || got[0].Chosen != "yes-payload" || got[0].Text != "" {
			t.Errorf("told as %+v", got)
		}
	})
}

func TestPlace_IsToldAsALocation(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		s := begun(w, dir)
		s.says(w.number, "geo:50.1109,8.68;u=40")
		if got := w.next(); got.Type != "location" || got.Place != "50.1109,8.68" || got.Text != "" {
			t.Errorf("told as %+v", got)
		}
		s.says(w.number, "geo:91,8")
		if got := w.next(); got.Type != "text" || got.Text != "geo:91,8" {
			t.Errorf("no place was told as %+v", got)
		}
	})
}
