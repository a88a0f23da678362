package message_test

import (
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/phone"
)

func TestName_OfACustomerIsTheNicknameElseTheNumber(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		names := func(text string) (names []string) {
			a.says(w.number, text)
			for _, e := range w.take() {
				if e.Text != "" {
					names = append(names, e.Name)
				}
			}
			return names
		}
		want := func(text, name string) {
			t.Helper()
			if got := names(text); len(got) != 1 || got[0] != name {
				t.Errorf("with %q the webhook names %q, want %q", text, got, name)
			}
		}
		want("first, without a nickname", a.number.Digits())
		w.hub.Change(func() { w.hub.Nicknames = map[phone.Number]string{a.number: "Ada"} })
		want("the same day", a.number.Digits())
		elapse(25 * time.Hour)
		want("a day later, before the relay has looked", a.number.Digits())
		want("then", "Ada")
		w.tamper(func(m carrier.Message) carrier.Message {
			m.Nickname = "Ada L."
			return m
		})
		want("with a nickname beside it", "Ada L.")
		w.tamper(nil)
		want("later", "Ada L.")
	})
}
