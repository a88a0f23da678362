package inbound

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/message/internal/peers"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/metering"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// How customers' files are fetched.
const (
	downloadWorkers   = 4
	lastDownloadRetry = 30 * time.Minute
	// maxDownloads is after how many failures the relay gives up on a file: after about a day.
	maxDownloads = 56
	// maxMissing is how often a web server may say that it does not have a file.
	maxMissing = 4
)

// arriving writes a message that is a file URL, and queues the download. The business learns
// of the message when the file is there.
func (s *Inbound) arriving(tx *store.Tx, c store.Customer, m carrier.Message, part record.Content, identity string, now time.Time) error {
	c.LastInbound = now
	if err := tx.PutCustomer(&c); err != nil {
		return err
	}
	body, err := part.Encode()
	if err != nil {
		return err
	}
	id := store.NewMessageID()
	err = tx.PutMessage(store.Message{
		ID: id, Direction: store.Inbound, Customer: c.ID, Type: string(media.Document), Body: body,
		CarrierID: record.Limited(m.ID), State: record.StateReceived, Created: now, Updated: now,
	})
	if err != nil {
		return err
	}
	sent, err := json.Marshal(record.ArrivedFile{Time: m.Time, Identity: identity, Resource: m.Resource, Confirm: part.Confirm})
	if err != nil {
		return err
	}
	_, err = tx.Enqueue(store.Job{Queue: base.QueueMedia, Customer: c.ID, Message: id, NotBefore: s.Now(), Body: sent})
	return err
}

// download fetches one file; it is its queue's Worker.
func (s *Inbound) download(ctx context.Context, j queue.Job) queue.Result {
	ctx, cancel := context.WithTimeout(ctx, media.TransferTime)
	defer cancel()
	if len(j.Body) == 0 {
		if err := s.lost(ctx, j, base.DamagedDetails); err != nil {
			return queue.Retry(base.FirstRetry)
		}
		return queue.Done()
	}
	err := s.fetchFile(ctx, j)
	switch {
	case err == nil:
		return queue.Done()
	case errors.Is(err, carrier.ErrOffline):
		return queue.Later(peers.LinkProbe)
	case errors.Is(err, record.ErrFinished):
		return s.Finish(ctx, j)
	case errors.Is(err, store.ErrQuota):
		sent, err := arrivedOf(j, j.Created)
		if err == nil {
			err = s.fileOverQuota(ctx, j, sent)
		}
		if err != nil {
			return queue.Retry(base.FirstRetry)
		}
		return queue.Done()
	}
	reason, final := downloadError(err)
	if final || j.Attempts+1 >= maxDownloads || errors.Is(err, media.ErrGone) && j.Attempts+1 >= maxMissing {
		s.Log.LogAttrs(ctx, slog.LevelWarn, "giving up on a customer's file", slog.Int("attempts", j.Attempts+1), slog.Any("error", err))
		if err := s.lost(ctx, j, reason); err != nil {
			return queue.Retry(base.FirstRetry)
		}
		return queue.Done()
	}
	return queue.Retry(min(base.FirstRetry<<min(j.Attempts, 12), lastDownloadRetry))
}

// downloadError tells the business why a file could not be fetched; final says that retrying
// is useless.
func downloadError(err error) (details string, final bool) {
	switch {
	case errors.Is(err, base.ErrElsewhere):
		return "The customer's file is not at the carrier's own web server; the relay fetches from nowhere else.", true
	case errors.Is(err, store.ErrInvalid):
		return "The relay cannot keep what the customer's client says of the file.", true
	case errors.Is(err, media.ErrTooLarge):
		return "The customer's file is larger than 100 MB.", true
	case errors.Is(err, media.ErrNotAuthentic):
		return "The customer's file is damaged, or not the one that was sent.", true
	case errors.Is(err, media.ErrURL), errors.Is(err, media.ErrAddress):
		return "The link to the customer's file is not one that the relay follows.", true
	}
	return "The relay could not fetch the customer's file from the carrier: ask the customer to send it once more.", false
}

// fetchFile fetches a job's file and tells the business about it. When it returns nil, the job
// is gone.
func (s *Inbound) fetchFile(ctx context.Context, j queue.Job) error {
	if s.Now().Sub(j.Created) > s.Retention {
		return record.ErrFinished
	}
	var body record.Content
	lost := false
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		m, err := tx.Message(j.Message)
		if err != nil {
			return err
		}
		lost = m.Lost
		body, err = record.ContentOf(m)
		return err
	})
	if err != nil {
		return record.Gone(err)
	}
	if lost {
		return s.Store.Update(ctx, func(tx *store.Tx) error { return s.tellForgotten(tx, j) })
	}
	if body.Media == nil || s.Files == nil {
		return record.ErrFinished
	}
	first, _, _ := strings.Cut(strings.TrimSpace(body.Media.From), "\n") // earlier versions kept the whole text
	link, err := media.ParseSource(first)
	if err != nil {
		return record.ErrFinished // cannot happen: it was a file URL when it was written
	}
	m, is, err := s.get(ctx, store.CustomerID(j.Lane), link, body)
	if err != nil {
		return err
	}
	err = s.Store.Update(ctx, func(tx *store.Tx) error { return s.haveFile(tx, j, m, is) })
	if err != nil {
		s.files.Discard(ctx, m.ID)
	}
	return record.Gone(err)
}

// get downloads a message's file and writes its decrypted content to the store. The file is not finished
// there: only at its end is it known to be authentic, in CBC by its hash.
func (s *Inbound) get(ctx context.Context, c store.CustomerID, link media.FileURL, body record.Content) (m store.Media, is arrived, err error) {
	ours, err := s.Files.Carries(ctx, link.URL)
	if err != nil {
		return m, is, err
	}
	if !ours {
		return m, is, base.ErrElsewhere
	}
	f, err := s.Files.Carrier.Get(ctx, link.URL, media.MaxSize+media.TagSize)
	if err != nil {
		return m, is, fmt.Errorf("downloading a file: %w", err)
	}
	defer f.Close()
	plain, err := link.Decrypt(f)
	if err != nil {
		return m, is, err
	}
	var beginning bytes.Buffer
	if m, err = s.files.Save(ctx, c, body.Life, io.TeeReader(plain, &prefix{&beginning})); err != nil {
		return m, is, fmt.Errorf("downloading a file: %w", err)
	}
	if link.CBC && !fits(body.Media.Described, m) {
		s.files.Discard(ctx, m.ID)
		return m, is, media.ErrNotAuthentic
	}
	m, is = recognized(m, link, beginning.Bytes(), body.Media.Described)
	return m, is, nil
}

// prefix keeps as much of what is written as is needed to recognize the kind of a file.
type prefix struct{ b *bytes.Buffer }

func (p *prefix) Write(data []byte) (int, error) {
	p.b.Write(data[:min(len(data), media.Sniffed-min(media.Sniffed, p.b.Len()))])
	return len(data), nil
}

// haveFile writes that a file is there, and the webhook about it. If the message was erased
// meanwhile, the file must not stay, and haveFile returns store.ErrNotFound.
func (s *Inbound) haveFile(tx *store.Tx, j queue.Job, f store.Media, is arrived) error {
	if _, err := tx.Message(j.Message); err != nil {
		return err
	}
	if err := tx.FinishMedia(f); err != nil {
		return err
	}
	tx.Owed() // the file is stored already
	kind := is.Kind
	w := webhook.Message{Media: &webhook.Media{
		Kind: string(kind), ID: f.ID, MIME: f.MIME, SHA256: f.SHA256, Name: f.Name, Voice: is.Voice, Animated: is.Animated, NameClear: is.nameClear,
	}}
	return s.tellFile(tx, j, w, f.Size, func(m *store.Message, b *record.Content) {
		m.Type = string(kind)
		old := record.Attached{}
		if b.Media != nil {
			old = *b.Media
		}
		b.Media = &record.Attached{Kind: kind, ID: f.ID, URLHash: old.URLHash}
	})
}

// lost tells the business that a file could not be fetched.
func (s *Inbound) lost(ctx context.Context, j queue.Job, details string) error {
	return s.Store.Update(ctx, func(tx *store.Tx) error { return s.lostFile(tx, j, details) })
}

func (s *Inbound) lostFile(tx *store.Tx, j queue.Job, details string) error {
	tx.Owed() // the message is stored already
	w := webhook.Message{Errors: []webhook.Error{webhook.MediaDownload(details)}}
	return s.tellFile(tx, j, w, 0, func(m *store.Message, b *record.Content) { m.Type, b.Media = record.TypeUnsupported, nil })
}

// tellForgotten tells the business that the link to a file was lost before the file was there.
func (s *Inbound) tellForgotten(tx *store.Tx, j queue.Job) error {
	tx.Owed()
	w := webhook.Message{Errors: []webhook.Error{webhook.NotDelivered()}}
	return s.tellFile(tx, j, w, 0, func(m *store.Message, _ *record.Content) { m.Type = record.TypeUnsupported })
}

// TellForgotten tells the business of the files that were not fetched before the links to them were lost.
func (s *Inbound) TellForgotten(ctx context.Context) error {
	place, more := store.Place{}, true
	for more {
		err := s.Store.Update(ctx, func(tx *store.Tx) error {
			jobs, to, err := tx.DueOf(store.Wanted{Queue: base.QueueMedia, Now: s.Now().Add(anyTime), After: place, Limit: forgottenBatch})
			place, more = to, len(jobs) == forgottenBatch
			for _, j := range jobs {
				m, readErr := tx.Message(j.Message)
				if err == nil && readErr == nil && m.Lost {
					err = s.tellForgotten(tx, queue.Job{ID: j.ID, Message: j.Message, Body: j.Body})
				}
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("telling of files that are lost: %w", err)
		}
	}
	return nil
}

// forgottenBatch is how many files' jobs are read at once, and anyTime longer than one is put off.
const (
	forgottenBatch = 256
	anyTime        = 365 * 24 * time.Hour
)

// tellFile changes a file's message, queues its webhook, meters both and ends its job.
func (s *Inbound) tellFile(tx *store.Tx, j queue.Job, w webhook.Message, size int64, change func(*store.Message, *record.Content)) error {
	m, err := tx.Message(j.Message)
	if record.IsNotFound(err) {
		return tx.Finish(j.ID)
	}
	if err != nil {
		return err
	}
	c, err := tx.CustomerByID(m.Customer)
	if err != nil {
		return err
	}
	body, err := record.ContentOf(m)
	if err != nil {
		return err
	}
	sent, err := arrivedOf(j, m.Created)
	if err != nil {
		return err
	}
	change(&m, &body)
	body.Confirm = sent.Confirm
	below := body.Caption
	if w.Media != nil && captioned(media.Kind(w.Media.Kind)) {
		w.Media.Caption, below = body.Caption, ""
	} else {
		body.Caption = ""
	}
	if m.Body, err = body.Encode(); err != nil {
		return err
	}
	if err := tx.PutMessage(m); err != nil {
		return err
	}
	if err := s.Meter(tx, m.Customer, metering.In, s.Now(), m.Type, size); err != nil {
		return err
	}
	w.Time, w.IdentityHash = sent.Time, sent.Identity
	w.ID, w.From, w.User, w.Name = m.ID, c.Number, c.UserID, c.Name
	if err := s.NotifyOf(tx, c.ID, w, body); err != nil {
		return err
	}
	if below != "" {
		if err := s.tellBelow(tx, c, m, body, w, below); err != nil {
			return err
		}
	}
	return tx.Finish(j.ID)
}

// arrivedOf reads a download's body. If that is damaged, only what the message says is known.
func arrivedOf(j queue.Job, created time.Time) (record.ArrivedFile, error) {
	sent := record.ArrivedFile{Time: created}
	if err := json.Unmarshal(j.Body, &sent); err != nil && len(j.Body) > 0 {
		return sent, fmt.Errorf("decoding a job: %w", err)
	}
	return sent, nil
}

// captioned says whether the Cloud API has captions for a kind of file.
func captioned(k media.Kind) bool { return k == media.Image || k == media.Video || k == media.Document }

// tellBelow sends the business the text below a file as a separate message, when the file
// could not be fetched or its kind has no caption.
func (s *Inbound) tellBelow(tx *store.Tx, c store.Customer, file store.Message, body record.Content, w webhook.Message, text string) error {
	below := webhook.Message{Time: w.Time, Text: text, IdentityHash: w.IdentityHash}
	return s.receive(tx, c, below, record.Content{Text: text, Markable: body.Markable, At: body.At, Whole: body.Whole, Confirm: body.Confirm, Life: body.Life}, file.CarrierID, file.Created)
}
