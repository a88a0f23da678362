package message_test

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/message"
)

// crashingWeb is the web as a process that crashes sees it.
type crashingWeb struct {
	message.Web
	*crash
}

func (w crashingWeb) Put(ctx context.Context, link string, h http.Header, body io.Reader, size int64) error {
	return w.step(func() error { return w.Web.Put(ctx, link, h, body, size) })
}

// TestCrash_LosesAndDoublesNoFile is the same for files, which take more
// steps: each side sends one, the business with a caption.
func TestCrash_LosesAndDoublesNoFile(t *testing.T) {
	eachCrash(t, crashWithFilesAt)
}

const shop = "https://shop.test/a.png"

func crashWithFilesAt(t *testing.T, at crashes) (crashed bool) {
	dir, relayDir := t.TempDir(), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c := &crash{left: at.step, after: at.after}
		w := newWorld(t, relayDir)
		w.noStorage = at.noStorage
		w.web = newWeb()
		w.web.files[shop], w.web.types[shop] = picture(), "image/png"
		w.wrap = func(s message.Store) message.Store { return crashingStore{s, c} }
		w.wire = func(l message.Carrier) message.Carrier { return crashingLink{l, c} }
		w.ways = func(f *message.Files) *message.Files { f.Carrier = crashingWeb{f.Carrier, c}; return f }
		w.start()
		a := w.customer(dir, alice)
		a.trySay(w.number, a.hands(upload, picture()).Text())
		w.settle()
		sent := message.Attachment{To: a.number, Kind: media.Image, Link: shop, Caption: "see"}
		id, err := w.AcceptAttachment(t.Context(), sent)
		accepted := err == nil
		events := w.take()
		crashed = c.happened()
		w.stop()
		w.wrap, w.wire, w.ways = newWorld(t, relayDir).wrap, func(l message.Carrier) message.Carrier { return l }, nil
		w.start()
		if !accepted {
			id = w.sends(sent)
		}
		w.tellLost()
		events = append(events, w.take()...)
		if at.noStorage {
			everyFileTold(t, w, a, events, id, accepted)
			w.stop()
			return
		}
		everyFileOnce(t, w, a, events, id, accepted)
		w.stop()
	})
	return crashed
}

// everyFileOnce looks at what both sides have in the end.
func everyFileOnce(t *testing.T, w *world, a *person, events []event, id string, accepted bool) {
	t.Helper()
	files := map[string]file{} // webhooks may come twice, with the same id
	for _, e := range events {
		if e.Type == "" {
			continue
		}
		if e.Type != "image" || files[e.ID].ID != "" && files[e.ID] != e.File {
			t.Errorf("the business got %+v", e)
		}
		files[e.ID] = e.File
	}
	if len(files) != 1 {
		t.Fatalf("the business has %d files", len(files))
	}
	if in := w.matched(a, events); len(in.lost) > 0 || !slices.Equal(slices.Collect(maps.Values(in.arrived)), slices.Collect(maps.Keys(a.said))) {
		t.Errorf("the client sent %q, of which the business was told %+v", a.said, in)
	}
	for _, e := range a.all(customer.Received) {
		if about := w.reacted(a, e); accepted && about != id {
			t.Errorf("the customer has %q as %s, which was accepted as %s", e.Text, about, id)
		}
	}
	for _, f := range files {
		if !bytes.Equal(w.stored(f.ID), picture()) {
			t.Error("the business's file is another one")
		}
	}
	links, captions := 0, 0
	for _, text := range a.got() {
		if text == "see" {
			captions++
			continue
		}
		links++
		if !bytes.Equal(a.opens(text), picture()) {
			t.Error("the customer's file is another one")
		}
	}
	// What was written but not accepted in time may be there twice: only the business
	// can tell.
	if links < 1 || links != captions || accepted && links > 1 {
		t.Errorf("the customer has %d files and %d captions", links, captions)
	}
	if got := statuses(events, id); len(got) < 3 || got[0] != "sent" {
		t.Errorf("statuses %v", got)
	}
	if n := len(a.all(customer.Unreadable)); n > 0 {
		t.Errorf("%d messages were unreadable to the customer", n)
	}
}

var _ carrier.Uploads = (*web)(nil)
