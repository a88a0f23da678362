package base

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"sync"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/media"
)

// Files are the dependencies for moving files. All fields but Room are required. Without
// Files no file is sent, and a file URL is a text.
type Files struct {
	// Uploads gives places on the carrier's web server, and Carrier talks to that server.
	Uploads carrier.Uploads
	Carrier Web
	// Public follows the business's links.
	Public Web
	// Owns says whether a host name is the carrier's.
	Owns func(host string) bool
	// Room says whether there is room for files: some is kept for messages, so that nobody
	// can crowd them out. Nil means always.
	Room func() bool

	known origin
}

// origin is the host and port of the carrier's web server, once it is known.
type origin struct {
	mu   sync.Mutex
	host string
}

func (o *origin) get() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.host
}

// learn notes where the carrier serves its files.
func (o *origin) learn(link string) {
	if u, err := url.Parse(link); err == nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.host = u.Host
	}
}

// Slot asks the carrier for a place for a file.
func (f *Files) Slot(ctx context.Context, name string, size int64) (carrier.Slot, error) {
	slot, err := f.Uploads.UploadSlot(ctx, name, size)
	if err == nil {
		f.known.learn(slot.Get)
	}
	return slot, err
}

// Carries says whether a link leads to the carrier's web server. A relay fetches customers'
// files from nowhere else, or customers could make it connect to anybody.
func (f *Files) Carries(ctx context.Context, link string) (bool, error) {
	u, err := url.Parse(link)
	switch {
	case err != nil:
		return false, ErrElsewhere
	case f.Owns(u.Hostname()), u.Host == f.known.get():
		return true, nil
	}
	_, err = f.Slot(ctx, "x", 1) // to learn where files are; the place stays empty
	if errors.Is(err, carrier.ErrNotFound) || errors.Is(err, carrier.ErrRejected) {
		err = ErrElsewhere
	}
	return err == nil && u.Host == f.known.get(), err
}

// Web moves encrypted or public files; a media.Client is one.
type Web interface {
	Get(ctx context.Context, link string, limit int64) (*media.File, error)
	Put(ctx context.Context, link string, header http.Header, body io.Reader, size int64) error
}

// ErrElsewhere means that a link does not lead to the carrier's web server.
var ErrElsewhere = errors.New("the link does not lead to the carrier's web server")
