package outbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/message/internal/base"
	"github.com/relaykeep/relaykeep/relay/message/internal/files"
	"github.com/relaykeep/relaykeep/relay/message/internal/peers"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/queue"
	"github.com/relaykeep/relaykeep/relay/rich"
	"github.com/relaykeep/relaykeep/relay/store"
	"github.com/relaykeep/relaykeep/relay/webhook"
)

// Attachment is a file that the business asks to send. Exactly one of ID and Link is
// set.
type Attachment struct {
	To       phone.Number
	ToUser   bool // the business named To by user id
	Kind     media.Kind
	ID       string // of StoreMedia
	Link     string // http or https
	Caption  string
	Filename string // of a document
	ReplyTo  string
	Opaque   string
	// Choices are the answers that Caption offers, of a kind that the webhook of an answer names.
	Choices    []rich.Choice
	ChoiceKind string
	// IdentityHash is that of Text.
	IdentityHash string
	Marketing    bool        // that of Text
	Once         *store.Once // that of Text
}

// AcceptAttachment stores a message with a file and returns its id, as AcceptText does. It
// returns ErrUnknownMedia or ErrMediaKind for a file that cannot be sent. Trouble with a link
// only shows when it is fetched.
func (s *Outbound) AcceptAttachment(ctx context.Context, a Attachment) (string, error) {
	main := record.Content{
		ToUser: a.ToUser, ReplyTo: a.ReplyTo, Media: &record.Attached{Kind: a.Kind, ID: a.ID, From: a.Link}, Choices: a.Choices, ChoiceKind: a.ChoiceKind, IdentityHash: a.IdentityHash,
	}
	caption := strings.TrimSpace(a.Filename + "\n" + a.Caption)
	id, now := store.NewMessageID(), s.Now()
	to := addressee{Outbound: s, marketing: a.Marketing}
	err := s.Store.Update(ctx, s.Once(a.Once, id, func(tx *store.Tx) error {
		if err := sendable(tx, a); err != nil {
			return err
		}
		c, err := to.find(tx, a.To)
		if err != nil {
			return err
		}
		m := store.Message{
			ID: id, Direction: store.Outbound, Customer: c.ID, Type: string(a.Kind), CarrierID: store.NewCarrierID(),
			State: record.StateAccepted, Opaque: a.Opaque, Created: now, Updated: now,
		}
		if err := s.PutTask(tx, m, main, record.KindMedia); err != nil {
			return err
		}
		if err := offer(tx, &c, id, a.Choices); err != nil || caption == "" {
			return err
		}
		m.ID, m.Type, m.CarrierID, m.Opaque = store.NewMessageID(), record.TypeCaption, store.NewCarrierID(), ""
		return s.PutTask(tx, m, record.Content{Text: caption, With: id, ReplyTo: a.ReplyTo, IdentityHash: a.IdentityHash}, record.KindText)
	}))
	if err != nil {
		to.undo()
		return "", fmt.Errorf("accepting a message: %w", s.OutQuota(err))
	}
	s.Counts.Add(base.EventAccepted)
	return id, nil
}

// sendable checks a file that the business named by its id. Any file can be a document; for
// the other kinds, the file must be of that kind.
func sendable(tx *store.Tx, a Attachment) error {
	if a.ID == "" {
		return nil
	}
	m, err := tx.Media(a.ID)
	switch {
	case record.IsNotFound(err):
		return files.ErrUnknownMedia
	case err != nil:
		return err
	case a.Kind != media.Document && media.KindOf(m.MIME) != a.Kind:
		return files.ErrMediaKind
	case m.Size > a.Kind.MaxSize():
		return files.ErrMediaTooLarge
	}
	return nil
}

// sendMedia brings a message's file to the carrier and sends the message. Each step is durable
// once it is done: a later attempt continues from there.
func (s *Outbound) sendMedia(ctx context.Context, j queue.Job, c store.Customer) error {
	m, body, err := s.pending(ctx, j.Message, record.StateAccepted)
	if err != nil {
		return err
	}
	if m.Lost {
		return fails(contentGone())
	}
	if s.Files == nil || body.Media == nil {
		return fails(webhook.MediaUpload("This relay sends no files."))
	}
	if !body.Media.Uploaded {
		if _, err := s.recipients(ctx, c, body); errors.Is(err, peers.ErrHidden) {
			return err // the carrier does not keep a file for as long as the message may wait
		}
		if err := s.bring(ctx, m, body.Media); err != nil {
			return err
		}
	}
	return s.sendText(ctx, j, c)
}

// How long a message waits for its file's turn before it lets another customer's job run,
// and how soon it comes back.
const (
	turnWait  = 2 * time.Second
	turnPause = 5 * time.Second
)

// bring uploads a message's file to the carrier, or returns errBusy.
func (s *Outbound) bring(ctx context.Context, m store.Message, a *record.Attached) error {
	turn, cancel := context.WithTimeout(ctx, turnWait)
	defer cancel()
	if s.transfers.Acquire(turn, 1) != nil {
		return errBusy
	}
	defer s.transfers.Release(1)
	if a.ID == "" {
		if err := s.fetchLink(ctx, m, a); err != nil {
			return err
		}
	}
	return s.upload(ctx, m.ID, a.ID)
}

// fetchLink downloads a file from the business's link.
func (s *Outbound) fetchLink(ctx context.Context, of store.Message, a *record.Attached) error {
	f, err := s.Files.Public.Get(ctx, a.From, a.Kind.MaxSize())
	if err != nil {
		return linkError(err)
	}
	defer f.Close()
	if err := f.GuessType(); err != nil {
		return linkError(err)
	}
	if a.Kind != media.Document && media.KindOf(f.Type) != a.Kind {
		return fails(webhook.MediaUpload("The link's web server gives the file another type than the message has."))
	}
	m, err := s.files.Save(ctx, of.Customer, of.Life, f)
	if err != nil {
		return linkError(s.OutQuota(err))
	}
	m.MIME, m.Name = f.Type, f.Name
	err = s.Store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.FinishMedia(m); err != nil {
			return err
		}
		return changeBody(tx, of.ID, func(b *record.Content) { b.Media.ID, b.Media.From = m.ID, "" })
	})
	if err != nil {
		s.files.Discard(ctx, m.ID)
		return record.Gone(err)
	}
	a.ID = m.ID
	return nil
}

// linkError sorts what went wrong with a business's link.
func linkError(err error) error {
	switch {
	case errors.Is(err, store.ErrQuota):
		return fails(webhook.MediaUpload(base.QuotaFileDetails))
	case errors.Is(err, media.ErrTooLarge):
		return fails(webhook.MediaUpload("The file at the link is too large for a message of this type."))
	case errors.Is(err, media.ErrAddress):
		return fails(webhook.MediaUpload("The link leads to an address that is not public. Upload the file instead."))
	case errors.Is(err, media.ErrURL), errors.Is(err, media.ErrGone):
		return fails(webhook.MediaUpload("The link cannot be followed, or its web server does not serve the file."))
	}
	return fmt.Errorf("fetching a link: %w", err)
}

// upload uploads a copy of a file to the carrier, encrypted under a new key, and stores its
// file URL as the message's text. The carrier learns the copy's size and kind of file, but no
// name that anybody gave it.
func (s *Outbound) upload(ctx context.Context, message, id string) error {
	m, r, err := s.files.OpenMedia(ctx, id)
	if errors.Is(err, files.ErrUnknownMedia) {
		return fails(webhook.MediaUpload("The file was deleted, or its retention ended, before it was sent."))
	}
	if err != nil {
		return err
	}
	slot, err := s.Files.Slot(ctx, media.UploadName(media.Extension(m.MIME)), m.Size+media.TagSize)
	if err != nil {
		return slotError(err)
	}
	link := media.NewFileURL()
	link.URL = slot.Get
	encrypted, err := link.Encrypt(r)
	if err != nil {
		return err
	}
	err = s.Files.Carrier.Put(ctx, slot.Put, slot.Header, io.NopCloser(encrypted), m.Size+media.TagSize)
	if errors.Is(err, media.ErrTooLarge) {
		return slotError(carrier.ErrRejected)
	}
	if err != nil {
		return fmt.Errorf("uploading a file: %w", err)
	}
	return record.Gone(s.Store.Update(ctx, func(tx *store.Tx) error {
		return changeBody(tx, message, func(b *record.Content) {
			b.Text, b.Media.Uploaded = link.Text(), true
			b.Life = tx.First(b.Life, m.Life) // the link opens the copy
		})
	}))
}

// slotError sorts a carrier's refusals.
func slotError(err error) error {
	switch {
	case errors.Is(err, carrier.ErrNotFound):
		return fails(webhook.MediaUpload("The carrier has no upload service (XEP-0363)."))
	case errors.Is(err, carrier.ErrRejected):
		return fails(webhook.MediaUpload("The carrier refuses the file: it may be larger than the carrier allows."))
	}
	return err
}

// changeBody changes what a message holds. The message may be gone by now.
func changeBody(tx *store.Tx, id string, change func(*record.Content)) error {
	m, err := tx.Message(id)
	if err != nil {
		return err
	}
	return record.PutBody(tx, m, change)
}
