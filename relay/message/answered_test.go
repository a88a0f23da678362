package message_test

import (
	"slices"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/message"
)

// silently begins a conversation with a customer whose client confirms nothing, as Gajim's with those
// who are not its contacts.
func silently(w *world, dir string) said {
	w.t.Helper()
	w.hub.Change(func() { w.hub.Muted = true })
	return begun(w, dir)
}

func TestAnswered_MessageIsDeliveredAndReadWhenItsWordsAreRepeated(t *testing.T) {
	quoted := "> We do. Which size?\n"
	for _, tc := range []struct {
		what, text string
		refs       func(s said) carrier.References
		want       []string
	}{
		{"by a quote", quoted + "42", func(said) carrier.References { return carrier.References{} }, []string{"delivered", "read"}},
		{"by an element and a quote", quoted + "42", func(s said) carrier.References {
			return carrier.References{ReplyTo: s.questionStanza, Quote: carrier.Range{End: len(quoted)}}
		}, []string{"delivered", "read"}},
		{"by an element", "42", func(s said) carrier.References { return carrier.References{ReplyTo: s.questionStanza} }, []string{"delivered"}},
		// as Dino quotes what it could not decrypt
		{"by an element beside other words", "> [This message is OMEMO encrypted]\nWhat is it?", func(s said) carrier.References {
			return carrier.References{ReplyTo: s.questionStanza}
		}, []string{"delivered"}},
		{"by a correction", quoted + "in blue", func(s said) carrier.References { return carrier.References{Corrects: s.ownStanza} }, []string{"delivered", "read"}},
		{"by no answer", "42", func(said) carrier.References { return carrier.References{} }, nil},
		{"by an answer to an own message", "> Do you have it in green?\nor in blue", func(s said) carrier.References {
			return carrier.References{ReplyTo: s.ownStanza}
		}, nil},
		{"by other words", "> We do not.\n42", func(said) carrier.References { return carrier.References{} }, nil},
	} {
		t.Run(tc.what, func(t *testing.T) {
			dir := t.TempDir()
			inBubble(t, func(t *testing.T, w *world) {
				s := silently(w, dir)
				s.about(tc.text, tc.refs(s))
				if got := statuses(w.take(), s.question); !slices.Equal(got, tc.want) {
					t.Errorf("its statuses are %q, want %q", got, tc.want)
				}
			})
		})
	}
}

func TestAnswered_EachStateIsToldOnceAndEarlierMessagesKeepTheirs(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		s := silently(w, dir)
		second := w.says(s.number, "Or two of them?")
		w.take()
		stanza := w.carrier.LastText().ID
		for _, step := range []struct {
			text string
			want []string
		}{
			{"Yes.", []string{"delivered"}},
			{"Please.", nil},
			{"> Or two of them?\nTwo.", []string{"read"}},
			{"> Or two of them?\nThree.", nil},
		} {
			s.about(step.text, carrier.References{ReplyTo: stanza})
			events := w.take()
			if got := statuses(events, second); !slices.Equal(got, step.want) {
				t.Errorf("after %q its statuses are %q, want %q", step.text, got, step.want)
			}
			if got := statuses(events, s.question); len(got) != 0 {
				t.Errorf("the message before it is told as %q", got)
			}
		}
	})
}

func TestAnswered_ByAnotherOrInClearIsNotBelieved(t *testing.T) {
	dir := t.TempDir()
	inBubbleWith(t, func(w *world) { w.accept = true }, func(t *testing.T, w *world) {
		s := silently(w, dir+"/a")
		refs := carrier.References{ReplyTo: s.questionStanza}
		w.customer(dir+"/b", "+491702222222").about("> We do. Which size?\n42", refs)
		check(t, w.brings(carrier.Unread{
			ID: "clear", From: s.number, Kind: carrier.InClear, Text: "> We do. Which size?\n42", References: refs, Time: time.Now(),
		}))
		events := w.take()
		if got := statuses(events, s.question); len(got) != 0 || len(texts(events)) != 2 {
			t.Errorf("its statuses are %q; the business got %q", got, texts(events))
		}
	})
}

// A client may show a file's caption and offer the file for download.
func TestAnswered_CaptionProvesThatTheFileArrivedNotThatItWasShown(t *testing.T) {
	withFiles(t, func(t *testing.T, w *world, a *person) {
		w.hub.Change(func() { w.hub.Muted = true })
		id, err := w.AcceptAttachment(t.Context(), message.Attachment{
			To: a.number, Kind: media.Image, ID: w.keeps("image/png", picture()), Caption: "Is it this one?",
		})
		check(t, err)
		w.take()
		a.about("> Is it this one?\nIt is.", carrier.References{})
		if got := statuses(w.take(), id); !slices.Equal(got, []string{"delivered"}) {
			t.Errorf("its statuses are %q", got)
		}
	})
}

func TestAnswered_OfferIsDeliveredWhenItsChoiceIsMade(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		s := silently(w, dir)
		id, _ := w.offers(s.person, "button_reply")
		s.says(w.number, "yes")
		if got := statuses(w.take(), id); !slices.Equal(got, []string{"delivered"}) {
			t.Errorf("its statuses are %q", got)
		}
	})
}
