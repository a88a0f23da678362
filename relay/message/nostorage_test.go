package message_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// tellLost does what the relay does at its start and every minute without storage.
func (w *world) tellLost() {
	w.t.Helper()
	if w.noStorage {
		check(w.t, w.TellLost(context.Background()))
	}
}

// withoutStorage runs a test of a relay that keeps content in memory only.
func withoutStorage(t *testing.T, test func(t *testing.T, w *world, a *person)) {
	dir := t.TempDir()
	inBubbleWith(t, func(w *world) {
		w.noStorage, w.web = true, newWeb()
		w.wire = func(l message.Carrier) message.Carrier { return unlinked{l, &w.noSending} }
	}, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		a.says(w.number, "hello") // the two know each other
		w.take()
		test(t, w, a)
	})
}

// unlinked is a link that is down while a test says so.
type unlinked struct {
	message.Carrier
	down *atomic.Bool
}

func (l unlinked) Send(ctx context.Context, o carrier.Outgoing) error {
	if l.down.Load() {
		return carrier.ErrOffline
	}
	return l.Carrier.Send(ctx, o)
}

// setAway has the business's receiver refuse webhooks.
func (w *world) setAway(away bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away = away
}

// again ends the process and starts another.
func (w *world) again() {
	w.stop()
	w.start()
	w.tellLost()
}

// lostIn returns the ids of the messages that were lost on their way to the business.
func lostIn(events []event) (ids []string) {
	for _, e := range events {
		if e.Type == "unsupported" && e.Code == webhook.CodeNotDelivered {
			ids = append(ids, e.ID)
		}
	}
	return ids
}

// receipts returns the stanza ids that a customer's client got delivery receipts for, each once.
func (p *person) receipts() (ids []string) {
	for _, e := range p.all(customer.Delivered) {
		ids = append(ids, e.ID)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// sayings are what a customer said, as the business knows it: by its ids, which a message may be told of twice.
type sayings struct{ arrived, lost map[string]string }

// matched finds out, for each message of a customer's that the business was told of, which one it is to the customer's
// client: the business marks it as read, and the client learns the id that it gave it itself. Lost are those that were
// told as lost, and not before as what they are.
func (w *world) matched(a *person, events []event) sayings {
	w.t.Helper()
	s := sayings{map[string]string{}, map[string]string{}}
	for _, e := range events {
		if e.Type != "" && e.Type != "unsupported" {
			s.arrived[e.ID] = w.marked(a, e.ID)
		}
	}
	for _, id := range lostIn(events) {
		if _, arrived := s.arrived[id]; !arrived {
			s.lost[id] = w.marked(a, id)
		}
	}
	return s
}

// marked marks a customer's message as read, and returns the id by which their client then knows it.
func (w *world) marked(a *person, id string) string {
	w.t.Helper()
	before := len(a.all(customer.Read))
	check(w.t, w.MarkRead(context.Background(), message.Read{ID: id}))
	w.settle()
	read := a.all(customer.Read)[before:]
	if len(read) != 1 {
		w.t.Errorf("marking %s as read told the client %+v", id, read)
		return ""
	}
	return read[0].ID
}

// reacted returns the id by which the business knows what arrived at a customer: the customer reacts to it.
func (w *world) reacted(a *person, to customer.Event) string {
	w.t.Helper()
	check(w.t, a.React(context.Background(), w.number, to.ID, "👍"))
	for _, e := range w.take() {
		if e.Type == "reaction" {
			return e.About
		}
	}
	w.t.Errorf("nothing was told of a reaction to %+v", to)
	return ""
}

// everyReactionIsMatched holds that what the customer has of the business's is what the business was told ids of. What
// was not accepted in time may be there once more under an id that the business does not know.
func everyReactionIsMatched(t *testing.T, w *world, a *person, told map[string]string, refused []string) {
	t.Helper()
	for _, e := range a.all(customer.Received) {
		if id := w.reacted(a, e); id != told[e.Text] && !slices.Contains(refused, e.Text) {
			t.Errorf("%q is %s, and was accepted as %s", e.Text, id, told[e.Text])
		}
	}
}

// everythingTold looks at what both sides have after a crash without storage: each message is there or
// told as lost, by its id, and no client believes that something arrived that the business does not have.
func everythingTold(t *testing.T, w *world, a *person, events []event, told map[string]string, refused []string) {
	t.Helper()
	in := w.matched(a, events)
	count := map[string]int{}
	for id, stanza := range in.arrived {
		count[stanza]++
		if i := slices.IndexFunc(events, func(e event) bool { return e.ID == id && e.Type == "text" }); i < 0 || events[i].Text != a.said[stanza] {
			t.Errorf("message %s is %q to the customer's client", id, a.said[stanza])
		}
	}
	for _, stanza := range in.lost {
		count[stanza]++
	}
	if len(a.said) != 2 {
		t.Errorf("the customer said %q", a.said)
	}
	for stanza, text := range a.said {
		if count[stanza] != 1 {
			t.Errorf("%q was told as %d messages: %+v", text, count[stanza], in)
		}
	}
	for _, stanza := range a.receipts() {
		if !slices.Contains(slices.Collect(maps.Values(in.arrived)), stanza) {
			t.Errorf("the client has a receipt for %q, which the business has not got", a.said[stanza])
		}
	}
	everyReactionIsMatched(t, w, a, told, refused)
	got := a.got()
	for text, id := range told {
		now := statuses(events, id)
		failed := slices.ContainsFunc(events, func(e event) bool { return e.ID == id && e.Status == "failed" && e.Code == webhook.CodeContentGone })
		if there := slices.Contains(got, text); !failed && (!there || !slices.Contains(now, "read")) {
			t.Errorf("%q: the customer has it: %v, statuses %q", text, there, now)
		}
	}
	if n := len(a.all(customer.Unreadable)); n > 0 {
		t.Errorf("%d messages were unreadable to the customer", n)
	}
}

// everyFileTold is everythingTold for one file of each side.
func everyFileTold(t *testing.T, w *world, a *person, events []event, id string, accepted bool) {
	t.Helper()
	in := w.matched(a, events)
	stanzas := slices.Concat(slices.Collect(maps.Values(in.arrived)), slices.Collect(maps.Values(in.lost)))
	if len(stanzas) != 1 || a.said[stanzas[0]] == "" {
		t.Errorf("of the customer's file was told %+v, and the client sent %q", in, a.said)
	}
	if got := a.receipts(); len(in.arrived) == 0 && len(got) > 0 {
		t.Errorf("the customer has %d receipts for a file that is lost", len(got))
	}
	for _, e := range a.all(customer.Received) {
		if about := w.reacted(a, e); accepted && about != id {
			t.Errorf("the customer has %q as %s, which was accepted as %s", e.Text, about, id)
		}
	}
	files, captions := 0, 0
	for _, text := range a.got() {
		if text == "see" {
			captions++
		} else if files++; !bytes.Equal(a.opens(text), picture()) {
			t.Error("the customer's file is another one")
		}
	}
	failed := slices.Contains(statuses(events, id), "failed")
	if !failed && (files == 0 || captions == 0) {
		t.Errorf("the customer has %d files and %d captions, statuses %q", files, captions, statuses(events, id))
	}
}

func TestNoStorage_ConversesBothWays(t *testing.T) {
	withoutStorage(t, func(t *testing.T, w *world, a *person) {
		stanza := a.says(w.number, "from the customer")
		id := w.says(a.number, "from the business")
		events := w.take()
		if got := texts(events); !slices.Equal(got, []string{"from the customer"}) {
			t.Errorf("the business has %q", got)
		}
		if got := statuses(events, id); !slices.Equal(got, []string{"sent", "delivered", "read"}) {
			t.Errorf("statuses %q", got)
		}
		if !slices.Contains(a.receipts(), stanza) {
			t.Error("the customer's client got no receipt")
		}
	})
}

func TestNoStorage_ReceiptFollowsTheBusinessNotTheStore(t *testing.T) {
	withoutStorage(t, func(t *testing.T, w *world, a *person) {
		w.setAway(true)
		stanza := a.says(w.number, "waits")
		w.settle()
		if slices.Contains(a.receipts(), stanza) {
			t.Error("the client got a receipt before the business took the message")
		}
		w.setAway(false)
		elapse(time.Minute)
		if got := texts(w.take()); !slices.Equal(got, []string{"waits"}) {
			t.Errorf("the business has %q", got)
		}
		if !slices.Contains(a.receipts(), stanza) {
			t.Error("the client got no receipt")
		}
	})
}

func TestNoStorage_CrashBeforeTheWebhookIsTold(t *testing.T) {
	withoutStorage(t, func(t *testing.T, w *world, a *person) {
		w.setAway(true)
		stanza := a.says(w.number, "is lost")
		w.settle()
		w.stop()
		w.setAway(false)
		w.start()
		events := w.take()
		if len(lostIn(events)) != 1 || len(texts(events)) != 0 {
			t.Errorf("the business got %+v", events)
		}
		if slices.Contains(a.receipts(), stanza) {
			t.Error("the client got a receipt for a message that is lost")
		}
	})
}

func TestNoStorage_AnHourWithoutTheBusinessIsTold(t *testing.T) {
	withoutStorage(t, func(t *testing.T, w *world, a *person) {
		w.setAway(true)
		stanza := a.says(w.number, "is lost")
		w.settle()
		elapse(time.Hour)
		w.setAway(false)
		elapse(2 * time.Minute)
		events := w.take()
		if len(lostIn(events)) != 1 || len(texts(events)) != 0 {
			t.Errorf("the business got %+v", events)
		}
		if slices.Contains(a.receipts(), stanza) {
			t.Error("the client got a receipt for a message that is lost")
		}
	})
}

func TestNoStorage_MessageThatWaitsForTheCarrierFails(t *testing.T) {
	for name, pass := range map[string]func(*world){
		"an hour":   func(w *world) { elapse(time.Hour) },
		"a restart": (*world).again,
	} {
		t.Run(name, func(t *testing.T) {
			withoutStorage(t, func(t *testing.T, w *world, a *person) {
				w.noSending.Store(true)
				id := w.says(a.number, "never arrives")
				w.settle()
				pass(w)
				w.tellLost()
				events := w.take()
				if got := statuses(events, id); !slices.Equal(got, []string{"failed"}) {
					t.Errorf("statuses %q", got)
				}
				for _, e := range events {
					if e.ID == id && e.Code != webhook.CodeContentGone {
						t.Errorf("it failed with %d", e.Code)
					}
				}
				w.noSending.Store(false)
				elapse(2 * time.Minute)
				w.settle()
				if slices.Contains(a.got(), "never arrives") {
					t.Error("it was sent all the same")
				}
			})
		})
	}
}

// What was accepted while others were in its way was not encrypted before it was lost: then there is nothing to encrypt.
func TestNoStorage_NothingIsSentInPlaceOfWhatIsLost(t *testing.T) {
	withoutStorage(t, func(t *testing.T, w *world, a *person) {
		elapse(45 * time.Second)
		w.says(a.number, "arrives") // and has the device list fetched
		w.take()
		w.noSending.Store(true) // their key is older than the device list
		ids := []string{w.says(a.number, "first"), w.says(a.number, "second"), w.says(a.number, "third")}
		elapse(time.Hour - 50*time.Second)
		w.noSending.Store(false)
		last := w.says(a.number, "said later")
		elapse(2 * time.Minute)
		events := w.take()
		for _, id := range ids {
			if got := statuses(events, id); !slices.Equal(got, []string{"failed"}) {
				t.Errorf("statuses %q", got)
			}
		}
		if got := statuses(events, last); !slices.Contains(got, "read") {
			t.Errorf("statuses of a later message %q", got)
		}
		if got := a.got(); !slices.Equal(got, []string{"arrives", "said later"}) {
			t.Errorf("the customer has %q", got)
		}
	})
}

func TestNoStorage_FilesLastAnHour(t *testing.T) {
	withoutStorage(t, func(t *testing.T, w *world, a *person) {
		stanza := a.says(w.number, a.hands(upload, picture()).Text())
		events := w.take()
		if len(events) != 1 || events[0].Type != "image" || !bytes.Equal(w.stored(events[0].File.ID), picture()) {
			t.Fatalf("the business got %+v", events)
		}
		if !slices.Contains(a.receipts(), stanza) {
			t.Error("the client got no receipt")
		}
		mine := w.keeps("image/png", picture())
		elapse(time.Hour)
		for _, id := range []string{events[0].File.ID, mine} {
			if _, err := w.Media(t.Context(), id); err == nil {
				t.Error("a file can be read after an hour")
			}
		}
		if _, err := w.AcceptAttachment(t.Context(), message.Attachment{To: a.number, Kind: media.Image, ID: mine}); err == nil {
			t.Error("a file that is gone was accepted")
		}
	})
}

// quoted has the business answer a customer's message 50 minutes later, and returns the answer's id.
func quoted(t *testing.T, w *world, a *person) string {
	t.Helper()
	a.says(w.number, "what is quoted")
	events := w.take()
	elapse(50 * time.Minute)
	w.noSending.Store(true)
	id, err := w.AcceptText(t.Context(), message.Text{To: a.number, Body: "the answer", ReplyTo: events[0].ID})
	check(t, err)
	w.settle()
	return id
}

func TestNoStorage_QuoteEndsWithWhatItQuotes(t *testing.T) {
	for name, want := range map[string]string{"within the hour": "> what is quoted\nthe answer", "after it": "the answer"} {
		t.Run(name, func(t *testing.T) {
			withoutStorage(t, func(t *testing.T, w *world, a *person) {
				id := quoted(t, w, a)
				if name == "after it" {
					elapse(10 * time.Minute)
				}
				w.noSending.Store(false)
				elapse(2 * time.Minute)
				if got := statuses(w.take(), id); !slices.Contains(got, "read") {
					t.Errorf("statuses %q", got)
				}
				if got := a.got(); !slices.Equal(got, []string{want}) {
					t.Errorf("the customer has %q", got)
				}
			})
		})
	}
}

func TestNoStorage_FileThatWasFetchedLaterEndsWithItsMessage(t *testing.T) {
	for name, within := range map[string]bool{"within the hour": true, "after it": false} {
		t.Run(name, func(t *testing.T) {
			withoutStorage(t, func(t *testing.T, w *world, a *person) {
				song := a.hands("https://relay.test/song.mp3", []byte("ID3\x03"))
				w.web.change(func() { w.web.fails = slices.Repeat([]error{errors.New("busy")}, 11) }) // for about half an hour
				w.setAway(true)
				a.says(w.number, song.Text()+"\nlisten")
				elapse(58 * time.Minute)
				w.web.change(func() {
					if len(w.web.fails) > 0 {
						t.Fatalf("the file was not fetched, %d more attempts would fail", len(w.web.fails))
					}
				})
				if !within {
					elapse(2 * time.Minute)
				}
				w.setAway(false)
				elapse(10 * time.Second)
				events := w.take()
				if !within {
					if len(events) != 2 || len(lostIn(events)) != 2 {
						t.Errorf("the business got %+v", events)
					}
					return
				}
				if len(events) != 2 || events[0].Type != "audio" || events[1].Text != "listen" {
					t.Fatalf("the business got %+v", events)
				}
				elapse(2 * time.Minute)
				if _, err := w.Media(t.Context(), events[0].File.ID); err == nil {
					t.Error("the file can be read an hour after its message came")
				}
			})
		})
	}
}

func TestNoStorage_ChosenAnswerEndsWithItsOffer(t *testing.T) {
	withoutStorage(t, func(t *testing.T, w *world, a *person) {
		w.offers(a, "button_reply")
		elapse(50 * time.Minute)
		w.setAway(true)
		a.says(w.number, "yes")
		w.settle()
		elapse(10 * time.Minute)
		w.setAway(false)
		elapse(time.Minute)
		if events := w.take(); len(events) != 1 || events[0].Type != "text" || events[0].Text != "yes" || events[0].Chosen != "" {
			t.Errorf("the business got %+v", events)
		}
	})
}

func TestNoStorage_OpaqueDataEndsWithItsMessage(t *testing.T) {
	withoutStorage(t, func(t *testing.T, w *world, a *person) {
		w.noSending.Store(true)
		id := w.says(a.number, "hi")
		elapse(50 * time.Minute)
		w.setAway(true)
		w.noSending.Store(false)
		elapse(11 * time.Minute)
		w.setAway(false)
		elapse(time.Minute)
		events := w.take()
		if got := statuses(events, id); !slices.Equal(got, []string{"sent", "delivered", "read"}) {
			t.Errorf("statuses %q", got)
		}
		for _, e := range events {
			if e.Opaque != "" {
				t.Errorf("opaque data outlived its message: %+v", e)
			}
		}
	})
}

func TestNoStorage_LinkToAFileEndsWithTheFile(t *testing.T) {
	withoutStorage(t, func(t *testing.T, w *world, a *person) {
		file := w.keeps("image/png", picture())
		elapse(50 * time.Minute)
		w.noSending.Store(true)
		id := w.sends(message.Attachment{To: a.number, Kind: media.Image, ID: file})
		w.settle()
		elapse(10 * time.Minute)
		w.noSending.Store(false)
		elapse(2 * time.Minute)
		w.tellLost()
		events := w.take()
		if got := statuses(events, id); !slices.Equal(got, []string{"failed"}) || events[len(events)-1].Code != webhook.CodeContentGone {
			t.Errorf("the business got %+v", events)
		}
		if got := a.got(); len(got) > 0 {
			t.Errorf("the customer has %q", got)
		}
	})
}

func TestNoStorage_ReactionThatIsLostIsTold(t *testing.T) {
	withoutStorage(t, func(t *testing.T, w *world, a *person) {
		id := w.says(a.number, "nice?")
		w.take()
		w.setAway(true)
		check(t, a.React(t.Context(), w.number, a.all(customer.Received)[0].ID, "👍"))
		w.settle()
		w.stop()
		w.setAway(false)
		w.start()
		if events := w.take(); len(lostIn(events)) != 1 || events[0].Emoji != "" {
			t.Errorf("of a reaction to %s the business got %+v", id, events)
		}
	})
}

func TestNoStorage_CustomersClientMaySendWhatWasLostOnceMore(t *testing.T) {
	withoutStorage(t, func(t *testing.T, w *world, a *person) {
		w.setAway(true)
		a.says(w.number, "once more")
		w.settle()
		w.stop()
		w.setAway(false)
		w.start()
		w.take()
		stanza := a.says(w.number, "once more")
		if got := texts(w.take()); !slices.Equal(got, []string{"once more"}) {
			t.Errorf("the business has %q", got)
		}
		if !slices.Contains(a.receipts(), stanza) {
			t.Error("the client got no receipt")
		}
	})
}

func TestNoStorage_DeadLetterIsReplayedWithoutItsContent(t *testing.T) {
	withoutStorage(t, func(t *testing.T, w *world, a *person) {
		w.setAway(true)
		a.says(w.number, "dies")
		w.settle()
		_, err := w.BuryOverdue(t.Context(), time.Now().Add(time.Hour), "away")
		check(t, err)
		elapse(time.Hour)
		w.setAway(false)
		n, err := w.ReplayAll(t.Context())
		if err != nil || n != 1 {
			t.Errorf("%d replayed, %v", n, err)
		}
		elapse(2 * time.Minute)
		if events := w.take(); len(lostIn(events)) != 1 {
			t.Errorf("the business got %+v", events)
		}
	})
}

func TestNoStorage_StatusLosesWhatTheBusinessAttached(t *testing.T) {
	withoutStorage(t, func(t *testing.T, w *world, a *person) {
		w.setAway(true)
		id := w.says(a.number, "hi")
		w.settle()
		w.stop()
		w.setAway(false)
		w.start()
		events := w.take()
		if got := statuses(events, id); !slices.Equal(got, []string{"sent", "delivered", "read"}) {
			t.Errorf("statuses %q", got)
		}
		for _, e := range events {
			if e.Opaque != "" {
				t.Errorf("opaque data outlived the process: %+v", e)
			}
		}
	})
}
