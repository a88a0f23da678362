package serve

import (
	"context"
	"errors"
	"io"

	"github.com/relaykeep/relaykeep/relay/cloudapi"
	"github.com/relaykeep/relaykeep/relay/conduct"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/phone"
	"github.com/relaykeep/relaykeep/relay/seal"
	"github.com/relaykeep/relaykeep/relay/store"
)

// service gives the HTTP interface access to the messages.
type service struct {
	*message.Service
	templates
	profiles
}

// AcceptText implements cloudapi.Service.
func (s service) AcceptText(ctx context.Context, t cloudapi.Text) (string, error) {
	id, err := s.Service.AcceptText(ctx, message.Text{
		To: t.To, ToUser: t.ToUser, Body: t.Body, ReplyTo: t.ReplyTo, Opaque: t.Opaque, IdentityHash: t.IdentityHash,
		Choices: t.Choices, ChoiceKind: t.ChoiceKind, Marketing: t.Marketing, Once: onceOf(t.Once),
	})
	return once(id, err)
}

// MarkRead implements cloudapi.Service.
func (s service) MarkRead(ctx context.Context, r cloudapi.Read) error {
	_, err := once("", s.Service.MarkRead(ctx, message.Read{ID: r.MessageID, Typing: r.Typing, Once: onceOf(r.Once)}))
	return err
}

// AcceptAttachment implements cloudapi.Service, as the following methods do.
func (s service) AcceptAttachment(ctx context.Context, a cloudapi.Attachment) (string, error) {
	id, err := s.Service.AcceptAttachment(ctx, message.Attachment{
		To: a.To, ToUser: a.ToUser, Kind: a.Kind, ID: a.ID, Link: a.Link, Caption: a.Caption, Filename: a.Filename, ReplyTo: a.ReplyTo, Opaque: a.Opaque,
		Choices: a.Choices, ChoiceKind: a.ChoiceKind, IdentityHash: a.IdentityHash, Marketing: a.Marketing, Once: onceOf(a.Once),
	})
	return once(id, err)
}

// AcceptReaction implements cloudapi.Service.
func (s service) AcceptReaction(ctx context.Context, r cloudapi.Reaction) (string, error) {
	id, err := s.Service.AcceptReaction(ctx, message.Reaction{To: r.To, ToUser: r.ToUser, About: r.MessageID, Emoji: r.Emoji, Opaque: r.Opaque, Once: onceOf(r.Once)})
	return once(id, err)
}

// StoreFile implements cloudapi.Service.
func (s service) StoreFile(ctx context.Context, f cloudapi.NewFile) (string, error) {
	id, err := s.StoreMedia(ctx, message.Upload{MIME: f.MIME, Name: f.Name, Body: f.Body, Limit: f.Limit})
	return id, translate(err)
}

// File implements cloudapi.Service.
func (s service) File(ctx context.Context, id string) (cloudapi.File, error) {
	m, err := s.Media(ctx, id)
	return shown(m), translate(err)
}

// OpenFile implements cloudapi.Service.
func (s service) OpenFile(ctx context.Context, id string) (cloudapi.File, io.ReadSeeker, error) {
	m, r, err := s.OpenMedia(ctx, id)
	return shown(m), r, translate(err)
}

// DeleteFile implements cloudapi.Service.
func (s service) DeleteFile(ctx context.Context, id string) error {
	return translate(s.DeleteMedia(ctx, id))
}

// Block implements cloudapi.Service.
func (s service) Block(ctx context.Context, users []cloudapi.BlockedUser) error {
	entries := make([]message.BlockedUser, len(users))
	for i, u := range users {
		entries[i] = message.BlockedUser(u)
	}
	return translate(s.Service.Block(ctx, entries))
}

// Unblock implements cloudapi.Service.
func (s service) Unblock(ctx context.Context, n []phone.Number) error {
	return translate(s.Service.Unblock(ctx, n))
}

// Blocked implements cloudapi.Service.
func (s service) Blocked(ctx context.Context) ([]cloudapi.BlockedUser, error) {
	entries, err := s.Service.Blocked(ctx)
	users := make([]cloudapi.BlockedUser, len(entries))
	for i, e := range entries {
		users[i] = cloudapi.BlockedUser(e)
	}
	return users, translate(err)
}

// Find implements cloudapi.Service.
func (s service) Find(ctx context.Context, user string) (phone.Number, error) {
	n, err := s.Service.Find(ctx, user)
	return n, translate(err)
}

// UserIDs implements cloudapi.Service.
func (s service) UserIDs(ctx context.Context, numbers []phone.Number) ([]string, error) {
	users, err := s.Service.UserIDs(ctx, numbers)
	return users, translate(err)
}

func shown(m store.Media) cloudapi.File {
	return cloudapi.File{ID: m.ID, MIME: m.MIME, Name: m.Name, SHA256: m.SHA256, Size: m.Size}
}

// translate turns errors of the messages into those that the HTTP interface knows.
func translate(err error) error {
	if limited := (*conduct.LimitError)(nil); errors.As(err, &limited) {
		return &cloudapi.LimitError{Held: limited.Held, Wait: limited.Wait}
	}
	switch {
	case errors.Is(err, message.ErrUnknownMessage):
		return cloudapi.ErrUnknownMessage
	case errors.Is(err, message.ErrUnknownMedia):
		return cloudapi.ErrUnknownFile
	case errors.Is(err, message.ErrMediaKind):
		return cloudapi.ErrFileKind
	case errors.Is(err, message.ErrUnknownCustomer):
		return cloudapi.ErrUnknownCustomer
	case errors.Is(err, message.ErrOptedOut):
		return cloudapi.ErrOptedOut
	case errors.Is(err, message.ErrBlockListFull):
		return cloudapi.ErrBlockListFull
	case errors.Is(err, store.ErrOtherBody):
		return cloudapi.ErrOtherBody
	case errors.Is(err, store.ErrQuota):
		return cloudapi.ErrRecipientFull
	case store.Unavailable(err), errors.Is(err, store.ErrClosed), errors.Is(err, store.ErrFull), errors.Is(err, message.ErrNoRoom), errors.Is(err, seal.ErrNoEpoch),
		errors.Is(err, context.Canceled):
		return cloudapi.ErrUnavailable
	}
	return err
}
