package stanza

import (
	"crypto/sha1" //nolint:gosec // XEP-0084 names pictures so
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/relaykeep/relaykeep/relay/media"
)

// PictureID is the id under which a picture is published (XEP-0084, 4.2); empty for none.
func PictureID(p media.Picture) string {
	if len(p.Data) == 0 {
		return ""
	}
	sum := sha1.Sum(p.Data) //nolint:gosec // as above
	return hex.EncodeToString(sum[:])
}

// PictureData renders a picture's content.
func PictureData(p media.Picture) *Element { return New(NSPicture, "data").WithText(Encode(p.Data)) }

// PictureInfo renders what is said of a picture: that there is none, for the zero Picture.
func PictureInfo(p media.Picture) *Element {
	info := New(NSPictures, "metadata")
	if id := PictureID(p); id != "" {
		info.With(New(NSPictures, "info", "id", id, "type", p.Type, "bytes", strconv.Itoa(len(p.Data)),
			"width", strconv.Itoa(p.Width), "height", strconv.Itoa(p.Height)))
	}
	return info
}

// Profile is what customers see of a business: a nickname and the id of a picture, each empty for none.
type Profile struct{ Name, Picture string }

// maxFormer is how many former profiles are noted: one stays noted until it is replaced everywhere.
const maxFormer = 8

// PublishedProfile renders which profile a relay published, and which former ones may still be there, the
// newest first. The oldest of more than eight are left out.
func PublishedProfile(p Profile, former ...Profile) *Element {
	e := New(NSProfile, "published", "name", p.Name, "picture", p.Picture)
	for _, f := range former[:min(len(former), maxFormer)] {
		e.With(New(NSProfile, "former", "name", f.Name, "picture", f.Picture))
	}
	return e
}

// ParsePublished reads which profiles an earlier run of a relay published, the newest first. Nil is nothing.
func ParsePublished(item *Element) []Profile {
	e := item.Child(NSProfile, "published")
	if e == nil {
		return nil
	}
	read := func(e *Element) Profile { return Profile{e.attrOrEmpty("name"), e.attrOrEmpty("picture")} }
	ps := []Profile{read(e)}
	for _, child := range e.Children {
		if child.Is(NSProfile, "former") && len(ps) <= maxFormer {
			ps = append(ps, read(child))
		}
	}
	return ps
}

// ShownPicture is the id of the picture that an item of a picture node names (XEP-0084, 4.2); empty for none.
func ShownPicture(item *Element) string {
	return item.Child(NSPictures, "metadata").Child(NSPictures, "info").attrOrEmpty("id")
}

// VCardPhoto renders a picture as a vCard has it (XEP-0153).
func VCardPhoto(p media.Picture) *Element {
	return New(NSVCard, "PHOTO").With(New(NSVCard, "TYPE").WithText(p.Type), New(NSVCard, "BINVAL").WithText(Encode(p.Data)))
}

// VCardPicture is the id of the picture in a vCard, "" when it has none that can be read.
func VCardPicture(card *Element) string {
	text := strings.Join(strings.Fields(TextOf(card.Child(NSVCard, "PHOTO"), NSVCard, "BINVAL")), "")
	data, err := decode(text, media.MaxPictureSize)
	if err != nil {
		return ""
	}
	return PictureID(media.Picture{Data: data})
}
