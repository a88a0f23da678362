package serve

import (
	"context"
	"fmt"
	"io"
	"syscall"

	"github.com/relaykeep/relaykeep/api/contract"
	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/cloudapi"
	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/message"
	"github.com/relaykeep/relaykeep/relay/store"
)

// files are the ways that files take: the carrier's web server, which is where the
// carrier is, and the Internet for a business's own links.
func (p *parts) files() (*message.Files, error) {
	x := p.cfg.Carrier.XMPP
	where := media.Carrier{Domain: x.Domain, Address: x.Address, CABundle: []byte(x.CABundle)}
	web, err := media.NewCarrier(where)
	if err != nil {
		return nil, fmt.Errorf("configuring the carrier's web server: %w", err)
	}
	return &message.Files{
		Uploads: p.link, Carrier: web, Public: media.NewPublic(p.AllowLinks), Owns: where.Owns,
		Room: func() bool { return hasRoom(p.DataDir, p.keys.store.Freed()) },
	}, nil
}

// keptFree is the part of the volume that files leave to messages.
const keptFree = 1.0 / 8

// Reasons of the condition VolumeHasRoom.
const (
	ReasonHasRoom    = "HasRoom"
	ReasonVolumeFull = "VolumeFull"
)

// volumeCondition is VolumeHasRoom.
func volumeCondition(full bool) contract.Condition {
	if full {
		return contract.Condition{
			Type: contract.ConditionVolumeHasRoom, Status: contract.False, Reason: ReasonVolumeFull,
			Message: "the volume is full but for what sweeping and erasing need: new messages are refused, or wait at the carrier; enlarge the claim, or erase customers or files",
		}
	}
	return contract.Condition{
		Type: contract.ConditionVolumeHasRoom, Status: contract.True, Reason: ReasonHasRoom, Message: "the volume has room for new messages",
	}
}

// hasRoom says whether the volume has room for files, beside what was freed within the
// database. One that cannot be asked has: what does not fit is refused when it is
// written.
func hasRoom(dir string, freed int64) bool {
	var s syscall.Statfs_t
	if syscall.Statfs(dir, &s) != nil {
		return true
	}
	return float64(int64(s.Bavail)*s.Bsize+freed) > keptFree*float64(int64(s.Blocks)*s.Bsize)
}

// UploadSlot implements carrier.Uploads.
func (l *link) UploadSlot(ctx context.Context, name string, size int64) (carrier.Slot, error) {
	u, ok := l.get().(carrier.Uploads)
	if !ok {
		return carrier.Slot{}, carrier.ErrOffline
	}
	return u.UploadSlot(ctx, name, size)
}

// AcceptAttachment implements cloudapi.Service, as the following methods do.
func (s service) AcceptAttachment(ctx context.Context, a cloudapi.Attachment) (string, error) {
	id, err := s.Service.AcceptAttachment(ctx, message.Attachment{
		To: a.To, Kind: a.Kind, ID: a.ID, Link: a.Link, Caption: a.Caption, Filename: a.Filename, ReplyTo: a.ReplyTo, Opaque: a.Opaque,
	})
	return id, translate(err)
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

func shown(m store.Media) cloudapi.File {
	return cloudapi.File{ID: m.ID, MIME: m.MIME, Name: m.Name, SHA256: m.SHA256, Size: m.Size}
}
