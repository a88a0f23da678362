package store_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/relay/store"
)

// bareOf is what of a body is no content in these tests: what stands before a colon.
func bareOf(body []byte) ([]byte, error) {
	bare, _, _ := bytes.Cut(body, []byte(":"))
	return bare, nil
}

// ownOf is what of a body was not copied from elsewhere: what stands before a plus.
func ownOf(body []byte) ([]byte, error) {
	own, _, _ := bytes.Cut(body, []byte("+"))
	return own, nil
}

// inMemory keeps content in memory for an hour.
func inMemory() store.Option {
	return store.ContentInMemory(store.Memory{Life: time.Hour, Message: bareOf, Own: ownOf, Job: func(_ string, body []byte) ([]byte, error) { return bareOf(body) }})
}

// forgetful is a world whose store keeps content in memory.
func forgetful(t *testing.T) *world {
	t.Helper()
	w := newPlace(t)
	w.open(inMemory())
	return w
}

func (w *world) restart(opts ...store.Option) {
	w.t.Helper()
	w.close()
	w.open(append(opts, store.MustExist())...)
}

// kept is a message with its job, a file and a request in a store.
type kept struct {
	message, file string
	job           int64
}

var once = store.Once{Key: "key", Body: [32]byte{1}}

func (w *world) keep() kept {
	w.t.Helper()
	return w.keepWith(0, once.Key)
}

// keepWith keeps copies of what has that Life, zero for what is new.
func (w *world) keepWith(life store.Life, request string) (k kept) {
	w.t.Helper()
	c := store.Customer{Number: number(w.t, "+15551234567")}
	k.message, k.file = store.NewMessageID(), store.NewMediaID()
	w.update(func(tx *store.Tx) (err error) {
		if known, err := tx.Customer(c.Number); err == nil {
			c = known
		}
		if err := tx.PutCustomer(&c); err != nil {
			return err
		}
		m := store.Message{
			ID: k.message, Direction: store.Inbound, Customer: c.ID, Type: "text", Body: []byte("bare:content"), CarrierID: "stanza",
			Opaque: "opaque", State: "received", Created: w.now, Life: life,
		}
		if err := tx.PutMessage(m); err != nil {
			return err
		}
		if k.job, err = tx.Enqueue(store.Job{Queue: "q", Customer: c.ID, Message: m.ID, NotBefore: w.now, Body: []byte("task:content"), Life: life}); err != nil {
			return err
		}
		if err := tx.BeginMedia(store.Media{ID: k.file, Created: w.now, Life: life}, c.ID); err != nil {
			return err
		}
		if err := tx.PutMediaChunk(k.file, 0, []byte("piece")); err != nil {
			return err
		}
		if err := tx.FinishMedia(store.Media{ID: k.file, MIME: "text/plain", Name: "name", Size: 5}); err != nil {
			return err
		}
		return tx.Answer(store.Once{Key: request, Body: once.Body}, "answer", w.now)
	})
	return k
}

// look compares what a store has with what it should: everything, or all but the content.
func (w *world) look(k kept, when string, lost bool) {
	w.t.Helper()
	body, opaque, job := "bare:content", "opaque", "task:content"
	if lost {
		body, opaque, job = "bare", "", "task"
	}
	w.view(func(tx *store.Tx) error {
		m, err := tx.Message(k.message)
		if err != nil || m.Lost != lost || string(m.Body) != body || m.Opaque != opaque || m.CarrierID != "stanza" || m.Type != "text" {
			w.t.Errorf("%s the message is %+v, %v", when, m, err)
		}
		j, err := tx.JobOf("q", k.job)
		if err != nil || j.Lost != lost || string(j.Body) != job {
			w.t.Errorf("%s the job is %+v, %v", when, j, err)
		}
		f, err := tx.Media(k.file)
		if lost != errors.Is(err, store.ErrNotFound) || !lost && (f.Name != "name" || f.Size != 5) {
			w.t.Errorf("%s the file is %+v, %v", when, f, err)
		}
		piece, err := tx.ReadMedia(k.file, 0)
		if lost != errors.Is(err, store.ErrNotFound) || !lost && string(piece) != "piece" {
			w.t.Errorf("%s the file has %q, %v", when, piece, err)
		}
		if answer, err := tx.Answered(once, w.now); err != nil || answer != "answer" {
			w.t.Errorf("%s the request's answer is %q, %v", when, answer, err)
		}
		return nil
	})
	if m, ok := w.Lately(k.message); ok && m.Lost != lost {
		w.t.Errorf("%s the remembered message is %+v", when, m)
	}
}

func TestMemory_ContentEndsWithTheHour(t *testing.T) {
	w := forgetful(t)
	k := w.keep()
	w.look(k, "at once", false)
	w.pass(59*time.Minute - time.Second)
	w.look(k, "within the hour", false)
	w.pass(time.Minute + time.Second)
	w.look(k, "after the hour", true)
}

func TestMemory_ContentEndsWithTheProcess(t *testing.T) {
	for mode, opts := range map[string][]store.Option{"in this mode": {inMemory()}, "with storage": nil} {
		w := forgetful(t)
		k := w.keep()
		w.restart(opts...)
		w.look(k, "after a start "+mode, true)
		w.update(func(tx *store.Tx) error { return tx.SetMessageState(k.message, "read", w.now) })
		w.update(func(tx *store.Tx) error {
			m, err := tx.Message(k.message)
			if err != nil {
				return err
			}
			m.Body = append(m.Body, ":new"...)
			return tx.ReplaceMessage(m)
		})
		w.view(func(tx *store.Tx) error {
			m, err := tx.Message(k.message)
			if err != nil || !m.Lost || m.State != "read" {
				t.Errorf("%s a lost message became %+v, %v", mode, m, err)
			}
			return nil
		})
	}
}

func TestMemory_ChangesDoNotLetContentLiveLonger(t *testing.T) {
	w := forgetful(t)
	k := w.keep()
	w.pass(50 * time.Minute)
	w.update(func(tx *store.Tx) error {
		m, err := tx.Message(k.message)
		if err != nil {
			return err
		}
		m.State = "read"
		if err := tx.ReplaceMessage(m); err != nil {
			return err
		}
		j, err := tx.JobOf("q", k.job)
		if err != nil {
			return err
		}
		return tx.Requeue("q", j)
	})
	w.look(k, "after the change", false)
	w.pass(10 * time.Minute)
	w.look(k, "after the hour", true)
}

func TestMemory_CopiesEndWithTheirOriginals(t *testing.T) {
	w := forgetful(t)
	original := w.keep()
	w.pass(50 * time.Minute)
	var life store.Life
	w.view(func(tx *store.Tx) error {
		m, err := tx.Message(original.message)
		life = m.Life
		return err
	})
	k := w.keepWith(life, "key of the copy")
	w.look(k, "at once", false)
	w.pass(10 * time.Minute)
	w.look(k, "after the original's hour", true)
}

// What is older decides, whichever of the two it is.
func TestMemory_LaterCopyIntoARowShortensItsLife(t *testing.T) {
	w := forgetful(t)
	older := w.keep()
	w.pass(20 * time.Minute)
	younger := w.keepWith(0, "key of the younger")
	lives := map[string]store.Life{}
	into := func(message, from string) {
		w.update(func(tx *store.Tx) error {
			m, err := tx.Message(message)
			if err != nil {
				return err
			}
			m.Life = tx.First(m.Life, lives[from])
			return tx.ReplaceMessage(m)
		})
	}
	for _, id := range []string{older.message, younger.message} {
		w.view(func(tx *store.Tx) error {
			m, err := tx.Message(id)
			lives[id] = m.Life
			return err
		})
	}
	into(older.message, younger.message)
	into(younger.message, older.message)
	w.pass(40 * time.Minute)
	w.view(func(tx *store.Tx) error {
		for _, id := range []string{older.message, younger.message} {
			if m, err := tx.Message(id); err != nil || !m.Lost {
				t.Errorf("it is %+v, %v", m, err)
			}
		}
		return nil
	})
}

func TestMemory_BorrowedPartEndsWithItsOriginalAndTheRestDoesNot(t *testing.T) {
	w := forgetful(t)
	original := w.keep()
	w.pass(30 * time.Minute)
	id := store.NewMessageID()
	w.update(func(tx *store.Tx) error {
		from, err := tx.Message(original.message)
		if err != nil {
			return err
		}
		return tx.PutMessage(store.Message{
			ID: id, Direction: store.Outbound, Customer: from.Customer, Type: "text", Body: []byte("bare:own+borrowed"), State: "accepted",
			Opaque: "opaque", Created: w.now, Borrowed: from.Life,
		})
	})
	wants := func(when, body string, lost bool) {
		t.Helper()
		w.view(func(tx *store.Tx) error {
			m, err := tx.Message(id)
			if err != nil || string(m.Body) != body || m.Lost != lost || (m.Opaque == "") != lost {
				t.Errorf("%s it is %+v, %v", when, m, err)
			}
			return nil
		})
	}
	changes := func(state string) {
		w.update(func(tx *store.Tx) error {
			m, err := tx.Message(id)
			if err != nil {
				return err
			}
			m.State = state
			return tx.ReplaceMessage(m)
		})
	}
	changes("sent")
	wants("at first", "bare:own+borrowed", false)
	w.pass(30 * time.Minute)
	wants("after the original's hour", "bare:own", false)
	changes("delivered")
	wants("after a change", "bare:own", false)
	w.pass(30 * time.Minute)
	wants("after its hour", "bare", true)
}

func TestMemory_WhatHasNoContentIsNeverLost(t *testing.T) {
	w := forgetful(t)
	c := store.Customer{Number: number(t, "+15551234567")}
	m := store.Message{ID: store.NewMessageID(), Direction: store.Inbound, Type: "text", Body: []byte("bare:content"), State: "received", Created: w.now}
	w.update(func(tx *store.Tx) error {
		if err := tx.PutCustomer(&c); err != nil {
			return err
		}
		m.Customer = c.ID
		if err := tx.PutMessage(m); err != nil {
			return err
		}
		m.Body = []byte("bare")
		return tx.ReplaceMessage(m)
	})
	w.restart(inMemory())
	w.view(func(tx *store.Tx) error {
		if got, err := tx.Message(m.ID); err != nil || got.Lost || string(got.Body) != "bare" {
			t.Errorf("it is %+v, %v", got, err)
		}
		return nil
	})
}

func TestMemory_AnotherBodyOfARequestIsNoticedWhileItIsKnown(t *testing.T) {
	w := forgetful(t)
	w.keep()
	other := store.Once{Key: once.Key, Body: [32]byte{2}}
	ask := func() (err error) {
		w.view(func(tx *store.Tx) error {
			_, err = tx.Answered(other, w.now)
			return nil
		})
		return err
	}
	if err := ask(); !errors.Is(err, store.ErrOtherBody) {
		t.Errorf("at once: %v", err)
	}
	w.restart(inMemory())
	if err := ask(); err != nil {
		t.Errorf("after a start: %v", err)
	}
}

func TestMemory_ForgottenFilesFreeTheirRoom(t *testing.T) {
	w := forgetful(t)
	k := w.keep()
	files := func() int { return w.count("media_chunks") }
	forget := func() {
		if err := w.ForgetContent(t.Context(), w.now); err != nil {
			t.Fatal(err)
		}
	}
	w.pass(30 * time.Minute)
	if forget(); files() != 1 {
		t.Error("a file was removed that can be read")
	}
	w.look(k, "after half an hour", false)
	w.pass(31 * time.Minute)
	if forget(); files() != 0 {
		t.Error("a file stays that nobody can read")
	}
	w.update(func(tx *store.Tx) error {
		id := store.NewMediaID()
		return errors.Join(tx.BeginMedia(store.Media{ID: id, Created: w.now}, 0), tx.PutMediaChunk(id, 0, []byte("a")), tx.FinishMedia(store.Media{ID: id, Size: 1}))
	})
	w.pass(time.Second)
	w.restart(inMemory())
	if forget(); files() != 0 {
		t.Error("a former process's file stays")
	}
}
