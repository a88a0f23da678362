package message_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/store"
)

func TestOnce_TwinsAreSentOnce(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		w.keepSecret("good day")
		text := message.Text{To: a.number, Body: "good day", Once: &message.Once{Key: "order 7", Body: [32]byte{1}}}
		var mu sync.Mutex
		ids, repeated := map[string]int{}, 0
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() {
				id, err := w.AcceptText(t.Context(), text)
				mu.Lock()
				defer mu.Unlock()
				var before *message.RepeatedError
				if errors.As(err, &before) {
					id, err = before.Answer, nil
					repeated++
				}
				if ids[id]++; err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		w.settle()
		w.stop()
		w.start()
		_, err := w.AcceptText(t.Context(), text)
		var before *message.RepeatedError
		if !errors.As(err, &before) || ids[before.Answer] != 20 || len(ids) != 1 || repeated != 19 {
			t.Errorf("after a restart %v; before it %v, %d of them repeated", err, ids, repeated)
		}
		other := text
		other.Once = &message.Once{Key: "order 7", Body: [32]byte{2}}
		if _, err := w.AcceptText(t.Context(), other); !errors.Is(err, store.ErrOtherBody) {
			t.Errorf("another body: %v", err)
		}
		w.settle()
		if got := a.got(); len(got) != 1 {
			t.Errorf("the customer got %d texts, want one", len(got))
		}
		elapse(24*time.Hour + time.Minute)
		if _, err := w.AcceptText(t.Context(), other); err != nil {
			t.Errorf("a day later: %v", err)
		}
		w.settle()
		if got := a.got(); len(got) != 2 {
			t.Errorf("the customer got %d texts, want two", len(got))
		}
	})
}

func TestOnce_HoldsForAllThatIsSent(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		a.says(w.number, "hello")
		in := w.take()[0].ID
		once := func(key string) *message.Once { return &message.Once{Key: key} }
		for name, send := range map[string]func() (string, error){
			"a file": func() (string, error) {
				return w.AcceptAttachment(t.Context(), message.Attachment{To: a.number, Kind: media.Image, Link: "https://shop.test/a.png", Caption: "look", Once: once("file")})
			},
			"a reaction": func() (string, error) {
				return w.AcceptReaction(t.Context(), message.Reaction{To: a.number, About: in, Emoji: "👍", Once: once("reaction")})
			},
			"a mark": func() (string, error) {
				return "", w.MarkRead(t.Context(), message.Read{ID: in, Once: once("mark")})
			},
		} {
			id, err := send()
			check(t, err)
			accepted := w.Count(message.EventAccepted)
			_, err = send()
			var before *message.RepeatedError
			if !errors.As(err, &before) || before.Answer != id || w.Count(message.EventAccepted) != accepted {
				t.Errorf("%s, again: %v, want that it was answered with %q", name, err, id)
			}
		}
		// What failed was not done.
		o := once("later")
		if err := w.MarkRead(t.Context(), message.Read{ID: "wamid.none", Once: o}); !errors.Is(err, message.ErrUnknownMessage) {
			t.Errorf("an unknown message: %v", err)
		}
		if err := w.MarkRead(t.Context(), message.Read{ID: in, Once: o}); err != nil {
			t.Errorf("after a failure: %v", err)
		}
		if _, err := w.Answered(t.Context(), *once("none")); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("what was not done: %v", err)
		}
		check(t, w.Answer(t.Context(), *once("upload"), "17"))
		if got, err := w.Answered(t.Context(), *once("upload")); err != nil || got != "17" {
			t.Errorf("%q, %v", got, err)
		}
	})
}
