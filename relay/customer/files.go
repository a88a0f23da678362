package customer

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/omemo"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// Errors about files that a caller decides on, in addition to those of package media.
var (
	// ErrNoUploads means that the carrier has no place for files.
	ErrNoUploads = errors.New("the carrier has no upload service")
	// ErrRefused means that the carrier refused the file for good.
	ErrRefused = errors.New("the carrier refuses the file")
	// errNoWeb means that the customer has no Web.
	errNoWeb = errors.New("this client moves no files")
	// ErrNames means that a directory has too many files of one name already.
	ErrNames = errors.New("the directory has too many files of that name")
)

const (
	// unnamed is the name of a file whose URL has no usable name.
	unnamed = "file"
	// maxSameName is how many files of one name a directory may have.
	maxSameName = 1000
	// maxFetches is how often the download of a file is attempted if its transfer breaks.
	maxFetches = 3
	// firstFetchWait is the wait before the first retry; it doubles each time.
	firstFetchWait = time.Second
)

// Web moves encrypted files; a media.Client is one.
type Web interface {
	Get(ctx context.Context, link string, limit int64) (*media.File, error)
	Put(ctx context.Context, link string, header http.Header, body io.Reader, size int64) error
}

// FileName returns a safe name for a file in a directory, made from the peer's name for it: no
// path, no invisible characters, and nothing that a shell or a listing would misread.
func FileName(l media.FileURL) string {
	name := strings.TrimLeft(l.Name(), ".-~ ")
	if name == "" {
		return unnamed
	}
	return name
}

// SendFile sends a file of exactly size bytes to a peer's devices, encrypted under its own key,
// and returns the message's id as Send does. The carrier learns its size and, from the name,
// its extension. A peer with omemo:2 learns the whole name.
func (c *Customer) SendFile(ctx context.Context, to phone.Number, name string, r io.Reader, size int64) (string, error) {
	if c.Web == nil {
		return "", errNoWeb
	}
	places, ok := c.Carrier.(carrier.Uploads)
	if !ok {
		return "", ErrNoUploads
	}
	if size > media.MaxSize {
		return "", media.ErrTooLarge
	}
	var slot carrier.Slot
	err := retry(ctx, func() (err error) {
		slot, err = places.UploadSlot(ctx, media.UploadName(extension(name)), size+media.TagSize)
		return err
	})
	if err != nil {
		return "", slotError(err)
	}
	link := media.NewFileURL()
	link.URL = slot.Get
	sum := sha256.New()
	encrypted, err := link.Encrypt(io.TeeReader(r, sum))
	if err != nil {
		return "", err
	}
	err = c.Web.Put(ctx, slot.Put, slot.Header, io.NopCloser(encrypted), size+media.TagSize)
	if errors.Is(err, media.ErrGone) || errors.Is(err, media.ErrTooLarge) {
		return "", ErrRefused
	}
	if err != nil {
		return "", fmt.Errorf("uploading: %w", err)
	}
	shared := carrier.SharedFile{Name: media.CleanName(name), MIME: media.Guess(name, nil), Size: size, SHA256: sum.Sum(nil), Link: link.Text()}
	return c.Share(ctx, to, link.Text(), shared)
}

// Share sends a text that names files, as Send does. A peer with omemo:2 also gets what is said of them.
func (c *Customer) Share(ctx context.Context, to phone.Number, text string, files ...carrier.SharedFile) (string, error) {
	return c.send(ctx, to, omemo.Saying{Text: []byte(text), Files: files})
}

// slotError sorts a carrier's refusals.
func slotError(err error) error {
	switch {
	case errors.Is(err, carrier.ErrNotFound):
		return ErrNoUploads
	case errors.Is(err, carrier.ErrRejected):
		return ErrRefused
	}
	return fmt.Errorf("asking for a place at the carrier: %w", err)
}

// extension is a file name's extension without the dot, if it says no more than what kind of
// file it is.
func extension(name string) string {
	const longest = 5
	e := strings.ToLower(strings.TrimPrefix(filepath.Ext(name), "."))
	other := func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }
	if len(e) > longest || strings.ContainsFunc(e, other) {
		return ""
	}
	return e
}

// SaveFile fetches a file, decrypts it into a directory, which it creates, and returns its path
// there. The file gets the name FileName, with a number if there is such a file already:
// nothing is overwritten. A file that is not authentic, too large (media.MaxSize) or too slow
// leaves nothing behind.
func (c *Customer) SaveFile(ctx context.Context, l media.FileURL, dir string) (string, error) {
	if c.Web == nil {
		return "", errNoWeb
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("making the directory: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", fmt.Errorf("opening the directory: %w", err)
	}
	defer root.Close()
	part := "." + rand.Text() + ".part"
	err = c.fetch(ctx, l, root, part)
	if err == nil {
		var name string
		if name, err = place(root, part, FileName(l)); err == nil {
			return filepath.Join(dir, name), nil
		}
	}
	return "", errors.Join(err, discard(root, part))
}

// fetch writes the decrypted file to name, in at most maxFetches attempts and within
// media.TransferTime.
func (c *Customer) fetch(ctx context.Context, l media.FileURL, root *os.Root, name string) error {
	ctx, cancel := context.WithTimeout(ctx, media.TransferTime)
	defer cancel()
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.Multiplier = firstFetchWait, 2
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := c.fetchOnce(ctx, l, root, name)
		if err != nil && final(err) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(pauses), backoff.WithMaxTries(maxFetches), backoff.WithMaxElapsedTime(0))
	return err
}

// final says whether retrying a download is useless.
func final(err error) bool {
	known := []error{
		media.ErrGone, media.ErrTooLarge, media.ErrURL, media.ErrAddress, media.ErrNotAuthentic, context.Canceled, context.DeadlineExceeded,
	}
	for _, e := range known {
		if errors.Is(err, e) {
			return true
		}
	}
	return errors.As(err, new(*os.PathError)) // our disk's, not the web's
}

// fetchOnce writes the decrypted file to name, from the start. The file is authentic only if it
// returns nil.
func (c *Customer) fetchOnce(ctx context.Context, l media.FileURL, root *os.Root, name string) error {
	f, err := c.Web.Get(ctx, l.URL, media.MaxSize+media.TagSize)
	if err != nil {
		return fmt.Errorf("fetching: %w", err)
	}
	defer f.Close()
	plain, err := l.Decrypt(f)
	if err != nil {
		return err
	}
	out, err := root.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("making the file: %w", err)
	}
	w := bufio.NewWriterSize(out, 1<<16)
	_, err = io.Copy(w, plain)
	err = errors.Join(err, w.Flush(), out.Sync(), out.Close())
	if err != nil {
		return fmt.Errorf("fetching: %w", err)
	}
	return nil
}

// place renames part to name, or to the first numbered name that is free: "a-2.jpg" after
// "a.jpg". It first creates an empty file of that name, so that it does not overwrite what
// another process puts there at the same time.
func place(root *os.Root, part, name string) (string, error) {
	extension := filepath.Ext(name)
	stem := strings.TrimSuffix(name, extension)
	for n := 1; n <= maxSameName; n++ {
		if n > 1 {
			name = stem + "-" + strconv.Itoa(n) + extension
		}
		f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err == nil {
			err = errors.Join(f.Close(), root.Rename(part, name))
		}
		if err != nil {
			return "", fmt.Errorf("naming the file: %w", err)
		}
		return name, nil
	}
	return "", ErrNames
}

// discard removes what was written of a file, if anything was.
func discard(root *os.Root, name string) error {
	if err := root.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing what was fetched: %w", err)
	}
	return nil
}
