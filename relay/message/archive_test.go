package message_test

import (
	"testing"

	"github.com/relaykeep/relaykeep/relay/message"
)

func TestPositionInTheArchiveOutlivesTheProcess(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		if id, err := w.Position(t.Context()); err != nil || id != "" {
			t.Errorf("at first it is %q, error %v", id, err)
		}
		check(t, w.SetPosition(t.Context(), "17"))
		check(t, w.SetPosition(t.Context(), "18"))
		w.stop()
		w.start()
		if id, err := w.Position(t.Context()); err != nil || id != "18" {
			t.Errorf("after a restart it is %q, error %v", id, err)
		}
	})
}

func TestTextInClearThatComesAgainIsDropped(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		w.stop()
		w.accept = true
		w.start()
		a := w.customer(dir, alice)
		for _, id := range []string{"1", "1", "2", "", ""} {
			check(t, w.brings(inClear(a.number, id, "hello")))
		}
		if got := texts(w.take()); len(got) != 4 {
			t.Errorf("the business got %q", got)
		}
		if n := w.Count(message.EventReplayed); n != 1 {
			t.Errorf("%d replays were counted", n)
		}
	})
}
