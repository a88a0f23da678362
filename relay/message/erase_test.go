package message_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/phone"
)

const bob = "+491703333333"

// kept says whether the relay has a file.
func (w *world) kept(id string) bool {
	w.t.Helper()
	_, err := w.Media(context.Background(), id)
	if err != nil && !errors.Is(err, message.ErrUnknownMedia) {
		w.t.Fatal(err)
	}
	return err == nil
}

func TestErasure_TakesTheirFilesAlong(t *testing.T) {
	other := t.TempDir()
	withFiles(t, func(t *testing.T, w *world, a *person) {
		b := w.customer(other, bob)
		w.web.files[shop], w.web.types[shop] = picture(), "image/png"
		a.says(w.number, a.hands(upload, picture()).Text())
		came := w.take()[0].File.ID
		toOne, toBoth := w.keeps("image/png", picture()), w.keeps("image/png", picture())
		w.sends(message.Attachment{To: a.number, Kind: media.Image, Link: shop})
		for _, file := range []string{toOne, toBoth} {
			w.sends(message.Attachment{To: a.number, Kind: media.Image, ID: file})
		}
		for _, file := range []string{toBoth, came} {
			w.sends(message.Attachment{To: b.number, Kind: media.Image, ID: file})
		}
		w.take()
		check(t, w.Erase(t.Context(), a.number))
		for what, file := range map[string]struct {
			id   string
			kept bool
		}{
			"that came from them, though it was sent on": {came, false},
			"that went to nobody else":                   {toOne, false},
			"that somebody else was sent":                {toBoth, true},
		} {
			if kept := w.kept(file.id); kept != file.kept {
				t.Errorf("the file %s is kept: %v", what, kept)
			}
		}
		if !bytes.Equal(w.stored(toBoth), picture()) {
			t.Error("what is kept is another file")
		}
		check(t, w.Erase(t.Context(), b.number))
		check(t, w.Erase(t.Context(), b.number))
		w.noFiles()
	})
}

// hookedWeb calls a function before it hands a file out.
type hookedWeb struct {
	message.Web
	before func()
}

func (h hookedWeb) Get(ctx context.Context, link string, limit int64) (*media.File, error) {
	h.before()
	return h.Web.Get(ctx, link, limit)
}

func TestErasure_FileThatArrivesMeanwhileIsNotKept(t *testing.T) {
	dir := t.TempDir()
	inBubbleWith(t, func(w *world) {
		w.web = newWeb()
		w.ways = func(f *message.Files) *message.Files {
			f.Carrier = hookedWeb{f.Carrier, func() { check(w.t, w.Erase(context.Background(), number(w.t, alice))) }}
			return f
		}
	}, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		a.says(w.number, a.hands(upload, picture()).Text())
		if got := w.take(); len(got) != 0 {
			t.Errorf("the business got %+v", got)
		}
		w.noFiles()
	})
}

func TestErasure_RemovesFromTheBlockList(t *testing.T) {
	gone, stays := number(t, alice), number(t, bob)
	var theirs *blockList
	inBubbleWith(t, func(w *world) {
		w.wire = func(message.Carrier) message.Carrier {
			theirs = &blockList{Carrier: w.carrier}
			return theirs
		}
	}, func(t *testing.T, w *world) {
		w.keepSecret(gone.Digits())
		check(t, w.Block(t.Context(), entriesOf(gone, stays)))
		w.settle()
		p, err := w.Person(t.Context(), gone, "", 10)
		if err != nil || !p.Blocked {
			t.Errorf("the export says %+v: %v", p, err)
		}
		theirs.away = true
		if err := w.Erase(t.Context(), gone); !errors.Is(err, carrier.ErrOffline) {
			t.Errorf("while the carrier is away: %v", err)
		}
		if got, err := w.Blocked(t.Context()); err != nil || !slices.Equal(got, entriesOf(stays)) {
			t.Errorf("%d are blocked: %v", len(got), err)
		}
		w.settle()
		theirs.away = false
		check(t, w.Erase(t.Context(), gone))
		w.settle()
		if !slices.Equal(theirs.list, []phone.Number{stays}) {
			t.Errorf("the carrier blocks %d", len(theirs.list))
		}
		if _, err := w.Person(t.Context(), gone, "", 10); !errors.Is(err, message.ErrUnknownCustomer) {
			t.Errorf("the export of who was erased: %v", err)
		}
	})
}

func TestExport_NamesFilesAndNoKeys(t *testing.T) {
	withFiles(t, func(t *testing.T, w *world, a *person) {
		a.says(w.number, a.hands(upload, picture()).Text())
		came := w.take()[0].File.ID
		went := w.keeps("image/png", picture())
		w.sends(message.Attachment{To: a.number, Kind: media.Image, ID: went, Caption: "your parcel"})
		w.take()
		w.web.change(func() { w.web.fails = []error{errors.New("busy"), errors.New("busy"), errors.New("busy")} })
		a.says(w.number, a.hands(upload+"2", picture()).Text()) // still at the carrier
		w.settle()
		p, err := w.Person(t.Context(), a.number, "", 10)
		check(t, err)
		var files []string
		for _, m := range p.Messages {
			if f := m.File; f != nil {
				files = append(files, f.ID)
				if f.Kind != media.Image || f.MIME != "image/png" || f.Size != int64(len(picture())) || f.SHA256 == [32]byte{} {
					t.Errorf("a file is %+v", f)
				}
			}
		}
		if !slices.Equal(files, []string{came, went}) || p.Blocked {
			t.Errorf("the export names %q", files)
		}
		export, err := json.Marshal(p)
		check(t, err)
		if text := string(export); strings.Contains(text, "aesgcm") || strings.Contains(text, "upload") || !strings.Contains(text, "your parcel") {
			t.Errorf("the export is %s", text)
		}
		check(t, w.DeleteMedia(t.Context(), went))
		p, err = w.Person(t.Context(), a.number, "", 10)
		if err != nil || slices.ContainsFunc(p.Messages, func(m message.PersonsMessage) bool { return m.File != nil && m.File.ID == went }) {
			t.Errorf("a file that was deleted is exported: %v", err)
		}
	})
}

func TestExport_HoldsWhatWasWrittenAndNothingOfTheRelaysOwn(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		a := w.customer(dir, alice)
		a.says(w.number, "a question")
		w.take()
		w.says(a.number, "an answer")
		w.settle()
		w.carrier.Bounce(times(-1))
		w.says(a.number, "comes back")
		w.settle()
		p, err := w.Person(t.Context(), a.number, "", 10)
		check(t, err)
		var got []string
		for _, m := range p.Messages {
			got = append(got, string(m.Content))
		}
		if want := []string{`{"text":"a question"}`, `{"text":"an answer"}`, `{"text":"comes back"}`}; !slices.Equal(got, want) {
			t.Errorf("the export has %s, want %s", got, want)
		}
	})
}

func TestErase_NothingTellsThatATextInClearCameBefore(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, func(t *testing.T, w *world) {
		w.stop()
		w.accept = true
		w.start()
		a := w.customer(dir, alice)
		for range 2 {
			check(t, w.brings(inClear(a.number, "1", "guess me")))
			check(t, w.brings(inClear(a.number, "1", "guess me")))
			if got := texts(w.take()); !slices.Equal(got, []string{"guess me"}) {
				t.Errorf("the business got %q", got)
			}
			check(t, w.Erase(t.Context(), a.number))
		}
	})
}
