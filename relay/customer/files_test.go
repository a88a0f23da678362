package customer_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// onWeb returns a customer who fetches files from a web server.
func onWeb(t *testing.T, h http.HandlerFunc) (c *customer.Customer, base string) {
	t.Helper()
	s := httptest.NewTLSServer(h)
	t.Cleanup(s.Close)
	web, err := media.NewCarrier(media.Carrier{
		Domain: "relay.test", Address: s.Listener.Addr().String(), CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), OneHost: true,
	})
	check(t, err)
	t.Cleanup(web.Close)
	return customer.New(customer.Options{Web: web}), s.URL
}

// files holds what is behind a link, at every address.
func files(t *testing.T, l media.FileURL, plain []byte) http.HandlerFunc {
	t.Helper()
	r, err := l.Encrypt(bytes.NewReader(plain))
	check(t, err)
	sealed, err := io.ReadAll(r)
	check(t, err)
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(sealed) }
}

func TestFile_IsSavedUnderAHarmlessFreeName(t *testing.T) {
	l, plain := media.NewFileURL(), bytes.Repeat([]byte("plain"), 50_000)
	c, base := onWeb(t, files(t, l, plain))
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "kept.jpg"), []byte("mine"), 0o600))
	check(t, os.Symlink("elsewhere", filepath.Join(dir, "link.jpg")))
	for _, tt := range []struct{ path, want string }{
		{"/a.jpg", "a.jpg"},
		{"/a.jpg", "a-2.jpg"},
		{"/a.jpg", "a-3.jpg"},
		{"/kept.jpg", "kept-2.jpg"},
		{"/link.jpg", "link-2.jpg"},
		{"/x/..%2f..%2fetc%2fpasswd", "passwd"},
		{"/x/..%5c..%5cpasswd.txt", "passwd.txt"},
		{"/.bashrc", "bashrc"},
		{"/-rf", "rf"},
		{"/~.profile", "profile"},
		{"/%1b%5b2Jgone%0a.txt", "[2Jgone.txt"},
		{"/txt.%e2%80%aeexe", "txt.exe"},
		{"/..", "file"},
		{"/", "file-2"},
		{"/none%00", "none"},
		{"/" + strings.Repeat("n", 1000), strings.Repeat("n", media.MaxName)},
		{"/" + strings.Repeat("n", 1000), strings.Repeat("n", media.MaxName) + "-2"},
	} {
		l.URL = base + tt.path
		path, err := c.SaveFile(t.Context(), l, dir)
		if err != nil || path != filepath.Join(dir, tt.want) {
			t.Errorf("%s is saved as %q, want %q: %v", tt.path, path, tt.want, err)
			continue
		}
		got, err := os.ReadFile(path)
		check(t, err)
		if !bytes.Equal(got, plain) {
			t.Errorf("%s holds %d bytes", path, len(got))
		}
	}
	if got, err := os.ReadFile(filepath.Join(dir, "kept.jpg")); err != nil || string(got) != "mine" {
		t.Errorf("what was there became %q: %v", got, err)
	}
	if entries, err := os.ReadDir(filepath.Dir(dir)); err != nil || len(entries) != 1 {
		t.Errorf("outside of the directory are %v: %v", entries, err)
	}
}

func TestFile_BrokenTransferIsRetried(t *testing.T) {
	l, plain := media.NewFileURL(), bytes.Repeat([]byte("plain"), 50_000)
	good := files(t, l, plain)
	var asked atomic.Int32
	c, base := onWeb(t, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			good(&cut{ResponseWriter: w, left: 100_000}, r)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler) // breaks the connection
		}
		good(w, r)
	})
	l.URL = base + "/a.jpg"
	path, err := c.SaveFile(t.Context(), l, t.TempDir())
	check(t, err)
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, plain) || asked.Load() != 2 {
		t.Errorf("%d bytes after %d requests: %v", len(got), asked.Load(), err)
	}
}

func TestFile_FailedDownloadLeavesNothing(t *testing.T) {
	l, size := media.NewFileURL(), int64(100_000)
	good := files(t, l, make([]byte, size))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c, base := onWeb(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/short":
			good(&cut{ResponseWriter: w, left: int(size)}, r)
		case "/large":
			w.Header().Set("Content-Length", "104857617") // 100 MB, the tag, and one
		case "/gone":
			w.WriteHeader(http.StatusNotFound)
		case "/away":
			http.Redirect(w, r, "https://localhost/", http.StatusFound)
		case "/slow":
			_, _ = w.Write(make([]byte, size))
			w.(http.Flusher).Flush()
			cancel()
			<-r.Context().Done()
		default:
			good(w, r)
		}
	})
	other := media.NewFileURL()
	for name, tt := range map[string]struct {
		ctx  context.Context
		path string
		link media.FileURL
		want error
	}{
		"another key":       {t.Context(), "/", other, media.ErrNotAuthentic},
		"cut short":         {t.Context(), "/short", l, media.ErrNotAuthentic},
		"too large":         {t.Context(), "/large", l, media.ErrTooLarge},
		"gone":              {t.Context(), "/gone", l, media.ErrGone},
		"on another host":   {t.Context(), "/away", l, media.ErrURL},
		"while it is given": {ctx, "/slow", l, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			tt.link.URL = base + tt.path
			_, err := c.SaveFile(tt.ctx, tt.link, dir)
			if !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), base) {
				t.Errorf("the error names the link: %v", err)
			}
			if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
				t.Errorf("left behind: %v, %v", entries, err)
			}
		})
	}
}

// cut writes no more than so many bytes.
type cut struct {
	http.ResponseWriter
	left int
}

func (c *cut) Write(p []byte) (int, error) {
	n := min(len(p), c.left)
	c.left -= n
	_, err := c.ResponseWriter.Write(p[:n])
	return len(p), err
}

// place is a carrier that has one place for files, and is asked for nothing else.
type place struct {
	carrier.Carrier
	at string
}

func (p place) UploadSlot(context.Context, string, int64) (carrier.Slot, error) {
	return carrier.Slot{Put: p.at, Get: p.at}, nil
}

func TestUpload_RefusedByTheWebServerFails(t *testing.T) {
	for _, status := range []int{http.StatusForbidden, http.StatusRequestEntityTooLarge} {
		c, base := onWeb(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		c.Carrier = place{at: base + "/slot"}
		if _, err := c.SendFile(t.Context(), phone.Number{}, "a.jpg", strings.NewReader("x"), 1); !errors.Is(err, customer.ErrRefused) {
			t.Errorf("%d is %v", status, err)
		}
	}
}

func TestCustomer_WithoutWebMovesNoFiles(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *hub, alice, bob *person) {
		if _, err := alice.SendFile(t.Context(), bob.number, "a.jpg", strings.NewReader("x"), 1); err == nil {
			t.Error("a file was sent")
		}
		if _, err := alice.SaveFile(t.Context(), media.NewFileURL(), t.TempDir()); err == nil {
			t.Error("a file was saved")
		}
	})
}
