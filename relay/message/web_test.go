package message_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"sync"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/message"
)

// web is a carrier's web server and its upload service, in memory.
type web struct {
	mu    sync.Mutex // guards the following fields
	files map[string][]byte
	types map[string]string
	slots int
	none  error   // answers every request for a slot
	fails []error // answers of the next transfers
	names []string
	full  bool // the relay's volume
}

func newWeb() *web { return &web{files: map[string][]byte{}, types: map[string]string{}} }

func (w *web) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *web) room() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.full
}

func (w *web) fail() error {
	if len(w.fails) == 0 {
		return nil
	}
	err := w.fails[0]
	w.fails = w.fails[1:]
	return err
}

// UploadSlot implements carrier.Uploads.
func (w *web) UploadSlot(_ context.Context, name string, _ int64) (carrier.Slot, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.none != nil {
		return carrier.Slot{}, w.none
	}
	w.slots++
	w.names = append(w.names, name)
	at := fmt.Sprintf("https://up.test:5281/%d/%s", w.slots, name)
	return carrier.Slot{Put: at, Get: at, Header: http.Header{"Authorization": {"slot"}}}, nil
}

// Get implements message.Web.
func (w *web) Get(_ context.Context, link string, limit int64) (*media.File, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.fail(); err != nil {
		return nil, err
	}
	body, ok := w.files[link]
	if !ok {
		return nil, media.ErrGone
	}
	return &media.File{Type: w.types[link], ReadCloser: io.NopCloser(media.Bounded(bytes.NewReader(body), limit))}, nil
}

// Put implements message.Web.
func (w *web) Put(_ context.Context, link string, header http.Header, body io.Reader, size int64) error {
	b, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.fail(); err != nil {
		return err
	}
	if int64(len(b)) != size || header.Get("Authorization") != "slot" {
		return fmt.Errorf("%d bytes of %d, header %v", len(b), size, header)
	}
	w.files[link] = b
	return nil
}

// files are the ways that the relay's files take; nil without a web.
func (w *world) files() *message.Files {
	if w.web == nil {
		return nil
	}
	f := &message.Files{Uploads: w.web, Carrier: w.web, Public: w.web, Owns: func(host string) bool { return host == "relay.test" }, Room: w.web.room}
	if w.ways != nil {
		f = w.ways(f)
	}
	return f
}

// pieces counts the pieces of files that the relay's volume holds. The relay is
// stopped.
func (w *world) pieces() (n int) {
	w.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(w.dir, "relay.db"))
	check(w.t, err)
	defer db.Close()
	check(w.t, db.QueryRowContext(context.Background(), `SELECT count(*) FROM media_chunks`).Scan(&n))
	return n
}
