package cloudapi

import (
	"context"
	"errors"
	"fmt"

	"github.com/relaykeep/relaykeep/relay/media"
)

// fileObject is a message's file.
type fileObject struct {
	ID       identifier `json:"id"`
	Link     string     `json:"link"`
	Caption  string     `json:"caption"`
	Filename string     `json:"filename"`
	Voice    yesOrNo    `json:"voice"`
}

// attachment checks a file, which is a parameter of that name.
func (f *fileObject) attachment(param string, kind media.Kind) (*Attachment, error) {
	switch {
	case f == nil:
		return nil, errMissing(param)
	case f.ID == "" && f.Link == "":
		return nil, errMissing(param + ".id or " + param + ".link")
	case f.ID != "" && f.Link != "":
		return nil, errInvalidParameter(fmt.Sprintf("Params %s.id and %s.link exclude each other.", param, param))
	case f.Link != "" && !followable(f.Link, maxFileLink):
		return nil, errInvalidValue(param + ".link must be an http or https address of at most 2048 bytes.")
	}
	id := fileID(string(f.ID))
	if f.ID != "" && (!digits(id) || len(id) > maxShownID) {
		return nil, errUnknownFile(param)
	}
	a := &Attachment{Kind: kind, ID: id, Link: f.Link}
	if kind == media.Document {
		a.Filename = media.CleanName(f.Filename)
	}
	return a, nil
}

// sendAttachment passes an attachment to the service.
func (a *API) sendAttachment(ctx context.Context, m Attachment, who acceptedContact) (any, error) {
	id, err := a.limits.accept(m.To, a.Now(), func() (string, error) { return a.Service.AcceptAttachment(ctx, m) })
	switch {
	case errors.Is(err, ErrUnknownFile):
		return nil, errUnknownFile(string(m.Kind))
	case errors.Is(err, ErrFileKind), errors.Is(err, media.ErrTooLarge):
		return nil, errInvalidParameter(fmt.Sprintf("The file of %s.id cannot be sent as this type: it has the wrong media type or is too large.", m.Kind))
	case err != nil:
		return nil, fromService(err)
	}
	return acceptance(who, id), nil
}
