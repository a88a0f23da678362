package message_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/test/racing"
)

// quarter is about as long as the outbox tries.
const quarter = 15 * time.Minute

// firstWait is how long a first message waits for an answer.
const firstWait = 10 * time.Minute

// times has what holds content come back that often, for the time being.
func times(n int) func(carrier.Outgoing) (back, temporary bool) {
	return func(o carrier.Outgoing) (bool, bool) {
		if o.Envelope.Payload == nil || n == 0 {
			return false, false
		}
		n--
		return true, true
	}
}

// same says whether two messages are the same bytes under the same id.
func same(a, b carrier.Outgoing) bool {
	return a.ID == b.ID && slices.Equal(a.Envelope.IV, b.Envelope.IV) && slices.Equal(a.Envelope.Payload, b.Envelope.Payload) &&
		slices.EqualFunc(a.Envelope.Keys, b.Envelope.Keys, func(a, b carrier.Key) bool {
			return a.Device == b.Device && a.PreKey == b.PreKey && slices.Equal(a.Data, b.Data)
		})
}

// allSame fails the test when the texts that were sent are not n times the same bytes.
func (w *world) allSame(n int) {
	w.t.Helper()
	sent := w.carrier.Texts()
	if len(sent) != n {
		w.t.Errorf("the message was sent %d times, want %d", len(sent), n)
	}
	for _, o := range sent {
		if !same(o, sent[0]) {
			w.t.Error("the message went out in two versions")
		}
	}
}

func TestBounce_TemporaryIsSentAgainAsItWas(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		w.carrier.Bounce(times(3))
		id := w.says(a.number, "the queue is full")
		if got := statuses(w.take(), id); !slices.Equal(got, []string{"sent"}) || len(a.got()) != 0 {
			t.Errorf("while it comes back statuses are %q", got)
		}
		elapse(quarter)
		if got := statuses(w.take(), id); !slices.Equal(got, []string{"delivered", "read"}) {
			t.Errorf("afterwards statuses are %q", got)
		}
		if got := a.got(); !slices.Equal(got, []string{"the queue is full"}) || w.Count(message.EventBounced) != 3 || w.Count(message.EventSent) != 1 {
			t.Errorf("the customer got %q; %d came back, %d were sent", got, w.Count(message.EventBounced), w.Count(message.EventSent))
		}
		w.allSame(4)
	})
}

func TestLaterMessagesDoNotWaitForOneThatCameBack(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		w.carrier.Bounce(times(-1))
		w.says(a.number, "first")
		w.settle() // it is sent for the fourth time after seven seconds
		w.carrier.Bounce(nil)
		w.says(a.number, "second")
		elapse(time.Second)
		if got := a.got(); !slices.Equal(got, []string{"second"}) {
			t.Errorf("meanwhile the customer got %q", got)
		}
		elapse(quarter)
		if got := a.got(); !slices.Equal(got, []string{"second", "first"}) {
			t.Errorf("the customer got %q", got)
		}
	})
}

func TestBounce_ForTooLongFailsAsUnavailable(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		w.carrier.Bounce(times(-1)) // always
		id := w.says(a.number, "never")
		elapse(quarter - 5*time.Minute)
		if got := statuses(w.take(), id); !slices.Equal(got, []string{"sent"}) {
			t.Errorf("after ten minutes statuses are %q", got)
		}
		elapse(5 * time.Minute)
		events := w.take()
		if len(events) != 1 || events[0].ID != id || events[0].Status != "failed" || events[0].Code != 131016 {
			t.Errorf("after a quarter of an hour the business got %+v, want failed with 131016", events)
		}
		w.allSame(20)
		for range 100 { // and nothing more comes of it
			check(t, w.brings(carrier.Bounce{To: a.number, ID: w.carrier.Texts()[0].ID, Temporary: true}))
		}
		elapse(quarter)
		if got := w.take(); len(got) != 0 {
			t.Errorf("later the business got %+v", got)
		}
		w.allSame(20)
	})
}

// TestFlappingLink_FailsNothingEarly: a server that cannot take a message yet
// takes it no sooner because the link to it broke.
func TestFlappingLink_FailsNothingEarly(t *testing.T) {
	for what, flap := range map[string]func(w *world){
		"while it waits": func(w *world) {
			for range 600 {
				elapse(time.Second)
				check(w.t, w.brings(carrier.Connected{}))
			}
		},
		"whenever it is sent again": func(w *world) {
			w.carrier.LoseUnconfirmed(100)
			elapse(10 * time.Minute)
		},
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			inBubble(t, func(t *testing.T, w *world) {
				a := w.customer(dir, alice)
				w.carrier.Bounce(times(-1))
				id := w.says(a.number, "the queue is full")
				elapse(time.Millisecond)
				flap(w)
				if got := statuses(w.take(), id); !slices.Equal(got, []string{"sent"}) {
					t.Errorf("after ten minutes statuses are %q", got)
				}
				w.carrier.Lose(0)
				elapse(5 * time.Minute)
				if events := w.take(); len(events) != 1 || events[0].Status != "failed" || events[0].Code != 131016 {
					t.Errorf("after a quarter of an hour the business got %+v, want failed with 131016", events)
				}
				w.allSame(20)
			})
		})
	}
}

func TestBounce_CountsOnceForEachSending(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		w.hub.Change(func() { w.hub.Muted, w.hub.Silent = true, true }) // receipts would end it
		a := w.customer(dir, alice)
		id := w.says(a.number, "many devices, many errors")
		w.take()
		stanza := w.carrier.Texts()[0].ID
		for range 100 {
			check(t, w.brings(carrier.Bounce{To: a.number, ID: stanza, Temporary: true}))
			check(t, w.brings(carrier.Bounce{To: number(t, "+491702222222"), ID: stanza, Temporary: true}))
		}
		elapse(firstWait / 2)
		if got := w.take(); len(got) != 0 {
			t.Errorf("the business got %+v, want nothing beyond sent of %s", got, id)
		}
		if n := w.Count(message.EventBounced); n != 1 {
			t.Errorf("%d bounces counted", n)
		}
		w.allSame(2)
	})
}

func TestBounce_PermanentAfterwardsFails(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a, n := w.customer(dir, alice), 0
		w.carrier.Bounce(func(o carrier.Outgoing) (back, temporary bool) {
			n++
			return o.Envelope.Payload != nil, n < 3
		})
		id := w.says(a.number, "the account is removed meanwhile")
		elapse(quarter)
		events := w.take()
		if got := statuses(events, id); !slices.Equal(got, []string{"sent", "failed"}) || events[1].Code != 131026 {
			t.Errorf("the business got %+v", events)
		}
		w.allSame(3)
	})
}

func TestBounce_DeliveredMeanwhileIsNotSentAgain(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		w.hub.Change(func() { w.hub.Muted, w.hub.Silent = true, true })
		id := w.says(a.number, "one of two devices has it")
		w.take()
		stanza := w.carrier.Texts()[0].ID
		back := carrier.Bounce{To: a.number, ID: stanza, Temporary: true}
		check(t, w.brings(back))
		check(t, w.brings(carrier.Receipt{From: a.number, ID: stanza, Kind: carrier.Delivered}))
		check(t, w.brings(back))
		elapse(quarter)
		if got := statuses(w.take(), id); !slices.Equal(got, []string{"delivered"}) {
			t.Errorf("statuses are %q", got)
		}
		w.allSame(1)
	})
}

func TestBounce_FailsWhileTheCustomerIsBlocked(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		w.carrier.Bounce(times(-1))
		id := w.says(a.number, "too late")
		w.settle()
		check(t, w.Block(t.Context(), entriesOf(a.number)))
		elapse(quarter)
		if got := statuses(w.take(), id); !slices.Equal(got, []string{"sent", "failed"}) {
			t.Errorf("statuses are %q", got)
		}
	})
}

// betweenSessions is a store that runs happens, once, when alice's last message was lost
// with its session and is about to be sent in the next: it has no ciphertext then.
type betweenSessions struct {
	message.Store
	once    *sync.Once
	happens func(m store.Message) error
	t       *testing.T
}

func (s betweenSessions) Update(ctx context.Context, fn func(*store.Tx) error) error {
	return s.after(ctx, s.Store.Update(ctx, fn))
}

func (s betweenSessions) UpdateLate(ctx context.Context, fn func(*store.Tx) error) error {
	return s.after(ctx, s.Store.UpdateLate(ctx, fn))
}

// after runs happens if it is time, and returns err.
func (s betweenSessions) after(ctx context.Context, err error) error {
	if m, ok := s.lost(ctx); ok {
		s.once.Do(func() {
			if err := s.happens(m); err != nil {
				s.t.Error(err)
			}
		})
	}
	return err
}

// lost returns alice's last message if it was sent and has no ciphertext.
func (s betweenSessions) lost(ctx context.Context) (m store.Message, ok bool) {
	_ = s.View(ctx, func(tx *store.Tx) error {
		c, err := tx.Customer(number(s.t, alice))
		if err != nil {
			return err
		}
		sent, err := tx.MessagesOf(c.ID, store.Outbound, time.Now(), 1)
		if len(sent) > 0 {
			m, ok = sent[0], sent[0].State == "sent" && !strings.Contains(string(sent[0].Body), `"envelope"`)
		}
		return err
	})
	return m, ok
}

// loseSession sends alice a message that she cannot read, and looks what becomes of it
// when she begins a new session and something happens before it is sent there.
func loseSession(t *testing.T, happens func(w *world, m store.Message) error) {
	dir := t.TempDir()
	var once sync.Once
	inBubbleWith(t, func(w *world) {
		w.wrap = func(s message.Store) message.Store {
			return betweenSessions{s, &once, func(m store.Message) error { return happens(w, m) }, w.t}
		}
	}, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		a.says(w.number, "hello")
		w.take()
		w.tamper(func(m carrier.Message) carrier.Message {
			if m.From == w.number {
				return spoilt(m)
			}
			return m
		})
		id := w.says(a.number, "unread")
		elapse(time.Second)
		w.tamper(nil)
		elapse(quarter)
		once.Do(func() { t.Error("the message never was without ciphertext") })
		if got := statuses(w.take(), id); !slices.Contains(got, "read") || slices.Contains(got, "failed") {
			t.Errorf("statuses are %q", got)
		}
		if got := a.got(); !slices.Equal(got, []string{"unread"}) {
			t.Errorf("the customer got %q", got)
		}
	})
}

func TestBounce_DuringAResendIsSentInTheNewSession(t *testing.T) {
	loseSession(t, func(w *world, m store.Message) error {
		return w.brings(carrier.Bounce{To: number(w.t, alice), ID: m.CarrierID, Temporary: true})
	})
}

// TestBounce_IsSentThoughTheNewSessionGaveItUp: it does not stay "sent" while
// nobody sends it any more.
func TestBounce_IsSentThoughTheNewSessionGaveItUp(t *testing.T) {
	loseSession(t, func(w *world, m store.Message) error {
		err := w.store.Update(context.Background(), func(tx *store.Tx) error {
			jobs, err := tx.Due(message.QueueOutbox, time.Now(), store.Place{}, 10)
			if err != nil || len(jobs) != 1 {
				return fmt.Errorf("%d jobs wait, want the one that sends the message again: %w", len(jobs), err)
			}
			return tx.Finish(jobs[0].ID)
		})
		return errors.Join(err, w.brings(carrier.Bounce{To: number(w.t, alice), ID: m.CarrierID, Temporary: true}))
	})
}

// TestBounce_IsNotMarkedReadBeforeTheCarrierHasItAgain: else a link that is lost just when
// it is to be sent again would let a marker for a later message end it.
func TestBounce_IsNotMarkedReadBeforeTheCarrierHasItAgain(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		w.hub.Change(func() { w.hub.Muted = true })
		w.carrier.Bounce(times(-1))
		first := w.says(a.number, "first")
		w.settle()
		w.carrier.Bounce(nil)
		second := w.says(a.number, "second")
		elapse(time.Millisecond)
		later := w.carrier.Texts()[len(w.carrier.Texts())-1].ID
		w.carrier.Lose(100)
		for w.carrier.Losing() == 100 {
			elapse(100 * time.Millisecond)
		}
		check(t, w.brings(carrier.Receipt{From: a.number, ID: later, Kind: carrier.Read}))
		w.carrier.Lose(0)
		elapse(quarter)
		if got := a.got(); !slices.Equal(got, []string{"second", "first"}) {
			t.Errorf("the customer got %q", got)
		}
		events := w.take()
		if got := statuses(events, first); !slices.Equal(got, []string{"sent"}) {
			t.Errorf("statuses of the first are %q, which nobody read", got)
		}
		if got := statuses(events, second); !slices.Equal(got, []string{"sent", "delivered", "read"}) {
			t.Errorf("statuses of the second are %q", got)
		}
	})
}

// TestJob_PutOffIsNotTakenForANewOne: else the queue would not look for those that
// are stored just when it comes due.
func TestJob_PutOffIsNotTakenForANewOne(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		w.carrier.Bounce(times(-1))
		w.says(a.number, "comes back")
		w.settle()
		check(t, w.store.View(t.Context(), func(tx *store.Tx) error {
			jobs, err := tx.Due(message.QueueOutbox, time.Now().Add(quarter), store.Place{}, 10)
			if len(jobs) != 1 || !jobs[0].NotBefore.After(jobs[0].Created) {
				t.Errorf("what is to be sent again stands as %+v", jobs)
			}
			return err
		}))
	})
}

// TestBounce_OfAnUnknownMessageDoesNothing: messages without content and receipts.
func TestBounce_OfAnUnknownMessageDoesNothing(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		var back []carrier.Bounce
		w.carrier.Bounce(func(o carrier.Outgoing) (bool, bool) {
			back = append(back, carrier.Bounce{To: o.To, ID: o.ID, Temporary: true})
			return o.Envelope.Payload == nil, true
		})
		a.says(w.number, "begins a session, which is answered")
		elapse(quarter)
		w.take()
		if len(back) != 1 || w.Count(message.EventBounced) != 0 || w.Count(message.EventFailed) != 0 {
			t.Errorf("%d messages without content were sent; %d counted as returned", len(back), w.Count(message.EventBounced))
		}
		id := w.says(a.number, "and the session works")
		if got := statuses(w.take(), id); !slices.Equal(got, []string{"sent", "delivered", "read"}) {
			t.Errorf("statuses are %q", got)
		}
	})
}

// TestBounce_OutlivesACrash crashes the relay at each step of sending a message
// that comes back twice.
func TestBounce_OutlivesACrash(t *testing.T) {
	racing.SkipExhaustive(t)
	for _, after := range []bool{false, true} {
		crashed, steps := true, 0
		for n := 1; crashed && !t.Failed(); n++ {
			t.Run(fmt.Sprintf("at step %d, after its effect: %v", n, after), func(t *testing.T) {
				crashed = crashBetweenBounces(t, n, after)
			})
			steps = n - 1
		}
		if steps < 8 {
			t.Errorf("only %d steps were crashed at", steps)
		}
	}
}

func crashBetweenBounces(t *testing.T, n int, after bool) (crashed bool) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		a.says(w.number, "hello")
		w.take()
		w.stop()
		c := &crash{}
		w.wrap = func(s message.Store) message.Store { return crashingStore{s, c} }
		w.wire = func(l message.Carrier) message.Carrier { return crashingLink{l, c} }
		w.start()
		w.settle()
		bounces := times(2)
		w.carrier.Bounce(bounces)
		w.keepSecret("comes back twice")
		id, err := w.AcceptText(context.Background(), message.Text{To: a.number, Body: "comes back twice"})
		check(t, err)
		c.mu.Lock()
		c.left, c.after = n, after
		c.mu.Unlock()
		elapse(quarter)
		before, events := w.carrier.Texts(), w.take()
		crashed = c.happened()
		w.stop()
		w.wrap = func(s message.Store) message.Store { return s }
		w.wire = func(l message.Carrier) message.Carrier { return l }
		w.start()
		w.carrier.Bounce(bounces)
		elapse(quarter)
		events = append(events, w.take()...)
		if got := a.got(); !slices.Equal(got, []string{"comes back twice"}) {
			t.Errorf("the customer got %q", got)
		}
		sent := slices.Concat(before, w.carrier.Texts())
		for _, o := range sent {
			if !same(o, sent[0]) {
				t.Error("the message went out in two versions")
			}
		}
		var got []string
		for _, s := range statuses(events, id) { // webhooks come at least once
			if !slices.Contains(got, s) {
				got = append(got, s)
			}
		}
		if !slices.Equal(got, []string{"sent", "delivered", "read"}) {
			t.Errorf("statuses are %q", got)
		}
	})
	return crashed
}

func TestReadMarker_ImpliesDelivered(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		w.hub.Change(func() { w.hub.Muted = true })
		a := w.customer(dir, alice)
		id := w.says(a.number, "Gajim sends strangers no receipts")
		w.settle()
		check(t, w.brings(carrier.Receipt{From: a.number, ID: w.carrier.Texts()[0].ID, Kind: carrier.Read}))
		if got := statuses(w.take(), id); !slices.Equal(got, []string{"sent", "delivered", "read"}) {
			t.Errorf("statuses are %q", got)
		}
	})
}

// TestBounce_LeftByAnEndedSessionIsSentAgain: ejabberd returns all that a client has not
// acknowledged when its queue is full, also what the client showed.
func TestBounce_LeftByAnEndedSessionIsSentAgain(t *testing.T) {
	for name, arrives := range map[string]bool{"it had arrived": true, "it had not": false} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			inBubble(t, func(t *testing.T, w *world) {
				w.hub.Change(func() { w.hub.Muted, w.hub.Silent = true, true })
				a := w.customer(dir, alice)
				if !arrives {
					w.carrier.Bounce(times(1))
				}
				id := w.says(a.number, "shown and returned")
				elapse(time.Millisecond)
				back := carrier.Bounce{To: a.number, ID: w.carrier.Texts()[0].ID, Doubtful: true}
				check(t, w.brings(back))
				w.hub.Change(func() { w.hub.Muted = false })
				elapse(time.Minute)
				if !arrives {
					if got := a.got(); len(got) != 1 {
						t.Errorf("the customer got %q", got)
					}
				} else {
					check(t, w.brings(carrier.Receipt{From: a.number, ID: back.ID, Kind: carrier.Read}))
				}
				check(t, w.brings(back)) // of the second copy
				elapse(quarter)
				if got := statuses(w.take(), id); !slices.Equal(got, []string{"sent", "delivered", "read"}) {
					t.Errorf("statuses are %q", got)
				}
				w.allSame(2)
			})
		})
	}
}

func TestBounce_EachTimeWithinTwoMinutesIsUndeliverable(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		w.hub.Change(func() { w.hub.Muted, w.hub.Silent = true, true })
		a := w.customer(dir, alice)
		id := w.says(a.number, "nobody is there any more")
		for i := range 8 {
			w.settle()
			if got := statuses(w.take(), id); i > 0 && len(got) != 0 {
				t.Errorf("after %d returns statuses are %q", i, got)
			}
			check(t, w.brings(carrier.Bounce{To: a.number, ID: w.carrier.Texts()[0].ID, Doubtful: true}))
			elapse(time.Minute)
		}
		if got := w.take(); len(got) != 1 || got[0].Status != "failed" || got[0].Code != 131026 {
			t.Errorf("the business got %+v", got)
		}
		w.allSame(8)
	})
}
