package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/relaykeep/relaykeep/relay/webhook/webhooktest"
)

// Inbox reads what a business's webhook has printed since the inbox was opened.
type Inbox struct {
	path string
	from int64
}

// OpenInbox returns the inbox of a business, empty: what came before does not show.
func (l *Lab) OpenInbox(b *Business) (*Inbox, error) {
	info, err := os.Stat(l.WebhookLog(b))
	if errors.Is(err, fs.ErrNotExist) {
		return &Inbox{path: l.WebhookLog(b)}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("opening the inbox of %s: %w", b.Name, err)
	}
	return &Inbox{path: l.WebhookLog(b), from: info.Size()}, nil
}

// Inbox returns the inbox of a business with all that ever came.
func (l *Lab) Inbox(b *Business) (*Inbox, error) {
	if _, err := os.Stat(l.WebhookLog(b)); err != nil {
		return nil, fmt.Errorf("opening the inbox of %s: %w", b.Name, err)
	}
	return &Inbox{path: l.WebhookLog(b)}, nil
}

// Messages returns all messages and statuses in the order of their arrival.
func (i *Inbox) Messages() ([]webhooktest.Update, error) {
	f, err := os.Open(i.path)
	if err != nil {
		return nil, fmt.Errorf("reading the inbox: %w", err)
	}
	defer func() { _ = f.Close() }()
	if _, err := f.Seek(i.from, io.SeekStart); err != nil {
		return nil, fmt.Errorf("reading the inbox: %w", err)
	}
	data, err := io.ReadAll(f)
	if err != nil {
		return nil, fmt.Errorf("reading the inbox: %w", err)
	}
	return messages(data)
}

// messages reads what a receiver printed; a last line without its end is not there
// yet.
func messages(data []byte) ([]webhooktest.Update, error) {
	var all []webhooktest.Update
	for line := range bytes.Lines(data) {
		if !bytes.HasSuffix(line, []byte("\n")) || !bytes.HasPrefix(line, []byte("{")) {
			continue
		}
		var d struct {
			Event string
			Body  json.RawMessage
		}
		if err := json.Unmarshal(line, &d); err != nil {
			return nil, fmt.Errorf("reading the inbox: %w", err)
		}
		if len(d.Body) == 0 {
			continue // a handshake
		}
		updates, err := webhooktest.Decode(d.Body)
		if err != nil {
			return nil, fmt.Errorf("reading the inbox: %w", err)
		}
		all = append(all, updates...)
	}
	return all, nil
}

// Wait waits until a message fits, and returns it.
func (i *Inbox) Wait(ctx context.Context, what string, fits func(webhooktest.Update) bool) (webhooktest.Update, error) {
	var found webhooktest.Update
	err := Poll(ctx, func(context.Context) error {
		all, err := i.Messages()
		if err != nil {
			return err
		}
		for _, m := range all {
			if fits(m) {
				found = m
				return nil
			}
		}
		return fmt.Errorf("the webhook has not got %s, but %d other messages and statuses", what, len(all))
	})
	return found, err
}
