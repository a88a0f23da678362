package message_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/carriertest"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// inClear is a message without encryption.
func inClear(from phone.Number, id, text string) carrier.Unread {
	return carrier.Unread{ID: id, From: from, Resource: "phone", Kind: carrier.InClear, Text: text, Time: time.Now(), WantsReceipt: true}
}

// accepting makes the relay accept unencrypted messages.
func accepting(w *world) { w.accept = true }

func TestRefusal_IsAnsweredAndToldOnceWithItsReason(t *testing.T) {
	for kind, want := range map[carrier.UnreadKind]struct {
		event  message.Event
		reason string
		notice bool
	}{
		carrier.InClear:           {message.EventPlaintext, "without encryption", true},
		carrier.ForeignEncryption: {message.EventUndecryptable, "in a way that this relay does not read", true},
		carrier.Malformed:         {message.EventUndecryptable, "damaged", false},
		carrier.TooLarge:          {message.EventUndecryptable, "larger", false},
	} {
		t.Run(string(kind), func(t *testing.T) {
			dir := t.TempDir()
			inBubble(t, func(t *testing.T, w *world) {
				a := w.customer(dir, alice)
				w.keepSecret("a secret")
				u := inClear(a.number, "1", "a secret")
				u.Kind = kind
				check(t, w.brings(u))
				check(t, w.brings(u)) // the archive brings it again
				events := w.take()
				if len(events) != 1 || events[0].Type != "unsupported" || events[0].Code != 131051 || events[0].Text != "" ||
					!strings.Contains(events[0].Details, want.reason) || w.Count(want.event) != 1 {
					t.Errorf("the business got %+v", events)
				}
				if got := w.carrier.Refusals(); !slices.Equal(got, []carriertest.Refusal{{To: a.number, Refusal: carrier.Refusal{Resource: "phone", ID: "1", Kind: kind}}}) {
					t.Errorf("the client was told %v", got)
				}
				if got := a.got(); (len(got) == 1) != want.notice {
					t.Errorf("the customer got %q", got)
				}
			})
		})
	}
}

func TestRefusal_ThatCannotBeAnsweredDoesNotSaySo(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		for _, u := range []carrier.Unread{inClear(a.number, "", ""), inClear(a.number, "1", ""), inClear(a.number, "2", "")} {
			answered := u.ID == "2"
			if !answered {
				u.Resource = ""
			}
			check(t, w.brings(u))
			if got := w.next(); strings.Contains(got.Details, "client was told") != answered {
				t.Errorf("the business got %+v", got)
			}
		}
	})
}

func TestAcceptedClearText_IsAPlaceOrAChoiceToo(t *testing.T) {
	dir := t.TempDir()
	inBubbleWith(t, accepting, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		a.says(w.number, "hello")
		w.take()
		offer, _ := w.offers(a, "button_reply")
		check(t, w.brings(inClear(a.number, "1", "yes")))
		if got := w.next(); got.Type != "interactive" || got.Chosen != "button_reply-yes" || got.Context != offer || !got.Unencrypted {
			t.Errorf("the choice is %+v", got)
		}
		check(t, w.brings(inClear(a.number, "2", "geo:52.5,13.4")))
		if got := w.next(); got.Type != "location" || !got.Unencrypted {
			t.Errorf("the place is %+v", got)
		}
	})
}

func TestArchive_PlaceIdentifiesWhatHasNoID(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		u := inClear(number(t, alice), "", "")
		for _, mark := range []string{"a", "a", "b"} {
			u.Mark = mark
			check(t, w.brings(u))
		}
		if got := w.take(); len(got) != 2 || len(w.carrier.Refusals()) != 0 {
			t.Errorf("the business got %+v, the client was told %v", got, w.carrier.Refusals())
		}
	})
}

func TestNotice_ComesOnceADayEncryptedAndInTheCustomersLanguage(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		writes := func(language string) {
			u := inClear(a.number, "", "")
			u.Mark, u.Language = time.Now().String(), language
			check(t, w.brings(u))
			w.settle()
		}
		for _, language := range []string{"de-CH", "de", "fr"} {
			writes(language)
		}
		if got := a.got(); len(got) != 1 || !strings.Contains(got[0], "OMEMO-Verschlüsselung ein") {
			t.Errorf("on the first day the customer got %q", got)
		}
		elapse(24 * time.Hour)
		writes("tlh")
		if got := a.got(); len(got) != 2 || !strings.Contains(got[1], "switch on OMEMO encryption") {
			t.Errorf("on the second day the customer got %q", got)
		}
		for _, e := range w.take() {
			if e.Status != "" {
				t.Errorf("the business got a status of what it did not send: %+v", e)
			}
		}
		// A customer without a device that reads it gets none, and the business no failure.
		check(t, w.brings(inClear(number(t, "+491709999999"), "9", "")))
		if got := w.take(); len(got) != 1 || got[0].Type != "unsupported" {
			t.Errorf("the business got %+v", got)
		}
	})
}

func TestNotice_HasTheBusinesssOwnWords(t *testing.T) {
	dir := t.TempDir()
	inBubbleWith(t, func(w *world) { w.notice = "Tap the lock." }, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		u := inClear(a.number, "1", "")
		u.Language = "de"
		check(t, w.brings(u))
		w.settle()
		if got := a.got(); !slices.Equal(got, []string{"Tap the lock."}) {
			t.Errorf("the customer got %q", got)
		}
	})
}

func TestNoticesCanBeSwitchedOff(t *testing.T) {
	dir := t.TempDir()
	inBubbleWith(t, func(w *world) { w.mute = true }, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		check(t, w.brings(inClear(a.number, "1", "")))
		if got := w.take(); len(got) != 1 || len(a.got()) != 0 || len(w.carrier.Refusals()) != 1 {
			t.Errorf("the business got %+v, the customer %q", got, a.got())
		}
	})
}

func TestTextInClearIsMarkedAndConfirmedWhereItIsAccepted(t *testing.T) {
	dir := t.TempDir()
	inBubbleWith(t, accepting, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		check(t, w.brings(inClear(a.number, "1", "in clear")))
		if got := w.take(); len(got) != 1 || got[0].Text != "in clear" || !got[0].Unencrypted {
			t.Errorf("the business got %+v", got)
		}
		if got := a.all(customer.Delivered); len(got) != 1 || got[0].ID != "1" || len(w.carrier.Refusals()) != 0 {
			t.Errorf("the customer was told %v", got)
		}
		// Its copy is confirmed again; the same text on another day is another message.
		check(t, w.brings(inClear(a.number, "1", "in clear")))
		if got := w.take(); len(got) != 0 || len(a.all(customer.Delivered)) != 2 {
			t.Errorf("of a copy the business got %+v", got)
		}
		elapse(24 * time.Hour)
		check(t, w.brings(inClear(a.number, "1", "in clear")))
		if got := w.take(); len(got) != 1 {
			t.Errorf("on the next day the business got %+v", got)
		}
	})
}

func TestArchive_CopyIsKnownHoweverLateItComes(t *testing.T) {
	inBubbleWith(t, accepting, func(t *testing.T, w *world) {
		u := inClear(number(t, alice), "1", "in clear")
		check(t, w.brings(u))
		elapse(7 * 24 * time.Hour)
		u.Time = u.Time.Add(-time.Second) // the server's clock
		check(t, w.brings(u))
		if got := w.take(); len(got) != 1 {
			t.Errorf("the business got %+v", got)
		}
	})
}

// A server may not say, or not so that it can be believed, when it took what waited.
func TestArchive_DuplicateIsToldOnceWhateverItsTimes(t *testing.T) {
	for kind, accept := range map[carrier.UnreadKind]bool{carrier.TooLarge: false, carrier.InClear: true} {
		t.Run(string(kind), func(t *testing.T) {
			inBubbleWith(t, func(w *world) { w.accept = accept }, func(t *testing.T, w *world) {
				u := inClear(number(t, alice), "1", "in clear")
				u.Kind, u.Mark = kind, "7"
				check(t, w.brings(u))
				u.Time = u.Time.Add(-3 * time.Hour)
				check(t, w.brings(u))
				if got := w.take(); len(got) != 1 {
					t.Errorf("the business got %+v", got)
				}
				u.Mark = "8" // a client that gives each message the same id
				check(t, w.brings(u))
				if got := w.take(); len(got) != 1 {
					t.Errorf("of another message with its id the business got %+v", got)
				}
			})
		})
	}
}

func TestBlockedCustomer_UnreadMessageIsDropped(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		n := number(t, alice)
		err := w.Block(t.Context(), entriesOf(n))
		check(t, err)
		for _, kind := range []carrier.UnreadKind{carrier.InClear, carrier.TooLarge} {
			u := inClear(n, string(kind), "")
			u.Kind = kind
			check(t, w.brings(u))
		}
		if got := w.take(); len(got) != 0 || len(w.carrier.Refusals()) != 0 {
			t.Errorf("the business got %+v", got)
		}
	})
}
