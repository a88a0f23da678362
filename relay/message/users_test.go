package message_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/store"
)

// tells has the business send a text to a user id.
func (w *world) tells(user, text string) string {
	w.t.Helper()
	w.keepSecret(text)
	to, err := w.Find(context.Background(), user)
	check(w.t, err)
	id, err := w.AcceptText(context.Background(), message.Text{To: to, ToUser: true, Body: text})
	check(w.t, err)
	return id
}

func TestUserID_NamesACustomerInEveryWebhook(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		digits := a.number.Digits()
		a.says(w.number, "hello")
		first := w.take()[0]
		if first.User == "" || first.User != first.Contact || first.From != digits || first.Digits != digits || !strings.HasPrefix(first.User, "DE.") {
			t.Errorf("the message is %+v", first)
		}
		toUser, toNumber := w.tells(first.User, "to the user id"), w.says(a.number, "to the number")
		for _, e := range w.take() {
			switch {
			case e.User != first.User || e.Contact != first.User || e.Digits != digits:
				t.Errorf("a status is %+v", e)
			case e.ID == toUser && e.Recipient != "", e.ID == toNumber && e.Recipient != digits:
				t.Errorf("a status of the other kind of recipient is %+v", e)
			}
		}
		check(t, w.Block(t.Context(), entriesOf(a.number)))
		toUser = w.tells(first.User, "to the user id")
		w.says(a.number, "to the number")
		for _, e := range w.take() {
			want := event{ID: e.ID, Status: "failed", Code: e.Code, Details: e.Details, Errors: 1, Opaque: e.Opaque}
			if e.ID == toUser {
				want.User = first.User
			} else {
				want.Recipient = digits
			}
			if e != want {
				t.Errorf("a failure is %+v, want %+v", e, want)
			}
		}
	})
}

func TestUserID_EndsWithItsCustomer(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		a.says(w.number, "hello")
		user := w.take()[0].User
		check(t, w.Erase(t.Context(), a.number))
		if _, err := w.Find(t.Context(), user); !errors.Is(err, message.ErrUnknownCustomer) {
			t.Errorf("after the erasure it is found: %v", err)
		}
		a.says(w.number, "hello again")
		if again := w.take()[0].User; again == user || again == "" {
			t.Errorf("the same person is %q, and was %q", again, user)
		}
	})
}

func TestUserID_OfABlockedCustomerOutlivesTheirMessages(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		a.says(w.number, "hello")
		user := w.take()[0].User
		check(t, w.Block(t.Context(), []message.BlockedUser{{Number: a.number, User: user}}))
		check(t, w.Block(t.Context(), entriesOf(a.number))) // does not forget it
		w.stop()
		w.start()
		if got, err := w.Blocked(t.Context()); err != nil || !slices.Equal(got, []message.BlockedUser{{Number: a.number, User: user}}) {
			t.Errorf("the list is %d entries: %v", len(got), err)
		}
		if users, err := w.UserIDs(t.Context(), []phone.Number{a.number}); err != nil || users[0] != user {
			t.Errorf("the user ids are %v: %v", users, err)
		}
		check(t, w.Erase(t.Context(), a.number))
		if got, err := w.Blocked(t.Context()); err != nil || len(got) != 0 {
			t.Errorf("after the erasure %d are blocked: %v", len(got), err)
		}
	})
}

// TestHiddenNumbers_AreInNoWebhookThatWaits switches numbers off while webhooks wait for a receiver, some
// of them of a relay that knew no user ids.
func TestHiddenNumbers_AreInNoWebhookThatWaits(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		a.says(w.number, "hello")
		user := w.take()[0].User
		w.mu.Lock()
		w.away = true
		w.mu.Unlock()
		a.says(w.number, "one that waits")
		id := w.says(a.number, "to the number")
		w.tells(user, "to the user id")
		check(t, a.React(t.Context(), w.number, id, "👍"))
		w.settle()
		check(t, w.store.Update(t.Context(), func(tx *store.Tx) error { // as an earlier relay wrote it
			c, err := tx.Customer(a.number)
			if err != nil {
				return err
			}
			m := store.Message{ID: "wamid.former", Direction: store.Inbound, Customer: c.ID, Type: "text", Body: []byte(`{"text":"former"}`), State: "received", Created: time.Now()}
			told := append([]byte{1}, `{"from":"`+a.number.Digits()+`"}`...)
			_, failed := tx.Enqueue(store.Job{Queue: "webhook", Customer: c.ID, Message: m.ID, NotBefore: time.Now(), Body: told})
			return errors.Join(tx.PutMessage(m), failed)
		}))
		w.stop()
		w.hidden = true
		w.mu.Lock()
		w.bodies = nil
		w.mu.Unlock()
		w.start()
		w.back()
		events := w.take()
		if !slices.Contains(texts(events), "one that waits") || !slices.Contains(texts(events), "former") {
			t.Errorf("the business got %q", texts(events))
		}
		a.says(w.number, "hidden now")
		w.tells(user, "to the user id again")
		events = append(events, w.take()...)
		for _, e := range events {
			if e.ID == id { // to a number
				if e.User+e.Contact+e.Recipient != "" {
					t.Errorf("a status is %+v", e)
				}
			} else if e.User != user || e.From+e.Recipient+e.Digits != "" {
				t.Errorf("a webhook is %+v", e)
			}
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, body := range w.bodies {
			if strings.Contains(string(body), a.number.Digits()) {
				t.Errorf("a webhook has the number: %s", body)
			}
		}
	})
}

// TestCustomerWithoutANumber_IsACustomer has somebody at an address that is no number write and be
// answered.
func TestCustomerWithoutANumber_IsACustomer(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.nameless(dir, "anna.b")
		a.says(w.number, "hello")
		first := w.take()[0]
		if first.User == "" || first.Contact != first.User || first.From+first.Digits != "" || first.Text != "hello" || first.Name != first.User {
			t.Errorf("the message is %+v", first)
		}
		id := w.tells(first.User, "good morning")
		events := w.take()
		if got := statuses(events, id); !slices.Equal(got, []string{"sent", "delivered", "read"}) {
			t.Errorf("the statuses are %v", got)
		}
		if !slices.Equal(a.got(), []string{"good morning"}) {
			t.Errorf("the customer got %q", a.got())
		}
		check(t, w.Block(t.Context(), []message.BlockedUser{{Number: a.number, User: first.User}}))
		a.says(w.number, "dropped")
		if got := w.take(); len(got) != 0 {
			t.Errorf("from a blocked customer came %+v", got)
		}
		p, err := w.Person(t.Context(), a.number, "", 10)
		if err != nil || !p.Blocked || p.UserID != first.User || len(p.Messages) != 2 {
			t.Errorf("the export has %d messages: %v", len(p.Messages), err)
		}
		check(t, w.Unblock(t.Context(), []phone.Number{a.number}))
		a.says(w.number, "heard again")
		if got := texts(w.take()); !slices.Equal(got, []string{"heard again"}) {
			t.Errorf("the business got %q", got)
		}
		check(t, w.Erase(t.Context(), a.number))
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, body := range w.bodies {
			if strings.Contains(string(body), "anna") {
				t.Errorf("a webhook has the address: %s", body)
			}
		}
	})
}
