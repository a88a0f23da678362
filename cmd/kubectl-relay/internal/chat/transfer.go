package chat

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/relaykeep/relaykeep/relay/customer"
	"github.com/relaykeep/relaykeep/relay/media"
)

// maxFiles is how many files may wait for their transfer, and how many received links
// are remembered for /save.
const maxFiles = 100

// transfers are the file transfers of one chat.
type transfers struct {
	sending, fetching line

	mu     sync.Mutex      // guards the following fields
	came   []media.FileURL // received and not fetched; the latest
	failed error           // of the first file that could not be fetched
}

func newTransfers() *transfers {
	return &transfers{sending: make(line, maxFiles), fetching: make(line, maxFiles)}
}

// keep remembers a received file's link.
func (t *transfers) keep(l media.FileURL) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.came = append(t.came, l)
	t.came = t.came[max(0, len(t.came)-maxFiles):]
}

// take returns the remembered files, and forgets them.
func (t *transfers) take() []media.FileURL {
	t.mu.Lock()
	defer t.mu.Unlock()
	came := t.came
	t.came = nil
	return came
}

func (t *transfers) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failed == nil {
		t.failed = err
	}
}

func (t *transfers) failure() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failed
}

// line runs functions one after another, in the background of the chat.
type line chan func(context.Context)

func (l line) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case do := <-l:
			do(ctx)
		}
	}
}

// add puts something to do at the line's end; false means that the line is full.
func (l line) add(do func(context.Context)) bool {
	select {
	case l <- do:
		return true
	default:
		return false
	}
}

// flush waits until everything that was added before is done.
func (l line) flush(ctx context.Context) error {
	done := make(chan struct{})
	select {
	case l <- func(context.Context) { close(done) }:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fetch fetches the files whose links are in a received text.
func (c *conversation) fetch(text string) {
	for _, p := range media.Split(text) {
		if link, err := media.ParseFileURL(p.URL); err == nil {
			c.fetchOne(link)
		}
	}
}

func (c *conversation) fetchOne(link media.FileURL) {
	if c.FilesDir != "" {
		c.save(link, c.FilesDir)
		return
	}
	c.files.keep(link)
	if c.view.interactive {
		c.view.notef("a file arrived: /save fetches it")
	} else {
		c.view.notef("a file arrived: to fetch files, give a directory with --files")
	}
}

// save fetches a file into a directory, when its turn comes. After a failure, /save can
// retry it.
func (c *conversation) save(link media.FileURL, dir string) {
	name := customer.FileName(link)
	trouble := func(err error) {
		c.files.keep(link)
		c.files.fail(fmt.Errorf("fetching %s: %w", name, err))
		c.view.notef("✗ %s was not fetched: %v", name, err)
	}
	added := c.files.fetching.add(func(ctx context.Context) {
		path, err := c.customer.SaveFile(ctx, link, dir)
		if err != nil {
			trouble(worded(err))
			return
		}
		c.view.notef("%s was saved as %s", name, path)
	})
	if !added {
		trouble(errBusy)
	}
}

// awaitFiles waits for the files that a filter has begun to fetch. A person who ends
// the chat in a terminal does not wait.
func (c *conversation) awaitFiles(ctx context.Context) error {
	if c.view.interactive {
		return nil
	}
	if err := c.files.fetching.flush(ctx); err != nil {
		return err
	}
	return c.files.failure()
}

// sendFile sends a file. As with a line, a failure ends only a filter.
func (c *conversation) sendFile(ctx context.Context, path string) error {
	id, err := c.upload(ctx, path)
	if err == nil {
		c.view.sent(id)
		return nil
	}
	err = fmt.Errorf("sending %s: %w", path, worded(err))
	if !c.view.interactive || ctx.Err() != nil {
		return err
	}
	c.view.notef("✗ %v", err)
	return nil
}

func (c *conversation) upload(ctx context.Context, path string) (string, error) {
	// Checked before it is opened, because opening a pipe waits for a writer.
	if info, err := os.Stat(path); err != nil {
		return "", err
	} else if !info.Mode().IsRegular() {
		return "", errors.New("it is not a file")
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	return c.customer.SendFile(ctx, c.To, filepath.Base(path), f, info.Size())
}

// errBusy means that too many files are waiting.
var errBusy = errors.New("too many files are waiting")

// worded describes a transfer's failure to the user.
func worded(err error) error {
	switch {
	case errors.Is(err, media.ErrTooLarge):
		return fmt.Errorf("it is larger than %d MB", media.MaxSize>>20)
	case errors.Is(err, media.ErrNotAuthentic):
		return errors.New("it is damaged, or not the file that was sent")
	case errors.Is(err, media.ErrURL), errors.Is(err, media.ErrAddress):
		return errors.New("its link leads to an address that is not allowed")
	case errors.Is(err, media.ErrGone):
		return errors.New("the server does not have it, or no longer")
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("it took longer than %.0f minutes", media.TransferTime.Minutes())
	case errors.Is(err, context.Canceled):
		return errors.New("the chat ended")
	}
	return err
}
