package cloudapi

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/phone"
)

// attachment reads a message with a file, whose envelope was checked.
func (q *request) attachment(to phone.Number) (*Attachment, error) {
	kind := media.Kind(q.Type)
	f := q.fileOf(kind)
	if f == nil {
		return nil, errMissing(q.Type)
	}
	switch {
	case f.ID == "" && f.Link == "":
		return nil, errMissing(q.Type + ".id")
	case f.ID != "" && f.Link != "":
		return nil, errInvalidParameter(fmt.Sprintf("Params %s.id and %s.link exclude each other.", q.Type, q.Type))
	case f.Link != "" && !followable(f.Link):
		return nil, errInvalidValue(q.Type + ".link must be an http or https address of at most 2048 bytes.")
	case f.ID != "" && (!digits(string(f.ID)) || len(f.ID) > maxShownID):
		return nil, errUnknownFile(q.Type)
	}
	if err := atMost(q.Type+".caption", f.Caption, MaxCaption); err != nil {
		return nil, err
	}
	if f.Caption != "" && (kind == media.Audio || kind == media.Sticker) {
		return nil, errInvalidParameter(fmt.Sprintf("Param %s.caption does not exist.", q.Type))
	}
	a := &Attachment{To: to, Kind: kind, ID: string(f.ID), Link: f.Link, Caption: f.Caption, Opaque: q.Opaque, ReplyTo: q.replyTo()}
	if kind == media.Document {
		a.Filename = media.CleanName(f.Filename)
	}
	return a, nil
}

func followable(link string) bool {
	u, err := url.Parse(link)
	return err == nil && len(link) <= maxFileLink && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && u.User == nil
}

// sendAttachment passes an attachment to the service.
func (a *API) sendAttachment(ctx context.Context, m Attachment, input string) (any, error) {
	if err := a.limits.take(m.To, a.Now()); err != nil {
		return nil, err
	}
	id, err := a.Service.AcceptAttachment(ctx, m)
	switch {
	case errors.Is(err, ErrUnknownFile):
		return nil, errUnknownFile(string(m.Kind))
	case errors.Is(err, ErrFileKind), errors.Is(err, media.ErrTooLarge):
		return nil, errInvalidParameter(fmt.Sprintf("The file of %s.id cannot be sent as this type: it has the wrong media type or is too large.", m.Kind))
	case err != nil:
		return nil, fromService(err)
	}
	return acceptance(m.To, input, id), nil
}
