package inbound

import (
	"bytes"
	"cmp"
	"crypto/sha256"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/relay/message/internal/record"
	"github.com/relaykeep/relaykeep/relay/store"
)

// A client of OMEMO2 may say inside the encryption where a file is, with its key, and describe it
// (XEP-0447, XEP-0448). One of legacy OMEMO writes a link into the text, and may describe the file
// in clear beside it. What is said of a file counts only once its content turned out to have the
// hash that was said.

// part is a part of a message, and what was said of its file.
type part struct {
	media.Part
	described *record.Described // nil for nothing
}

// saidIn splits what a message says into texts and files. Shared is what it says of files inside the
// encryption, beside what it says in clear. Both together have at most media.MaxFiles files.
func saidIn(text string, shared, beside []carrier.SharedFile) (parts []part) {
	var linked []int // places of the files that the text names
	for _, p := range media.Split(text) {
		if p.URL != "" {
			linked = append(linked, len(parts))
		}
		if p != (media.Part{}) {
			parts = append(parts, part{Part: p})
		}
	}
	alone := len(linked) == 1
	for _, f := range shared {
		switch at := placeOf(parts, f.Link); {
		case at >= 0:
			parts[at].described = describedBy(f, false)
		case f.Link != "" && len(parts) < media.MaxFiles:
			parts = append(parts, part{media.Part{URL: f.Link}, describedBy(f, false)})
		case alone && len(shared) == 1:
			parts[linked[0]].described = describedBy(f, false)
		}
	}
	if len(shared) == 0 && len(beside) == 1 && alone {
		parts[linked[0]].described = describedBy(beside[0], true)
	}
	if len(parts) == 2 && len(linked) == 0 && parts[0].URL == "" { // a text and its file
		parts[1].Text = parts[0].Text
		return parts[1:]
	}
	if len(parts) == 0 {
		parts = []part{{}}
	}
	return parts
}

// placeOf returns the place of the part that has a file's address; -1 for none.
func placeOf(parts []part, link string) int {
	l, err := media.ParseSource(link)
	if err != nil {
		return -1
	}
	for i, p := range parts {
		if named, err := media.ParseSource(p.URL); err == nil && named.URL == l.URL {
			return i
		}
	}
	return -1
}

func describedBy(f carrier.SharedFile, inClear bool) *record.Described {
	return &record.Described{Name: f.Name, MIME: f.MIME, Size: f.Size, SHA256: f.SHA256, Sticker: f.Sticker && !inClear, Clear: inClear}
}

// fits says whether a description is of that file.
func fits(d *record.Described, m store.Media) bool {
	return d != nil && len(d.SHA256) == sha256.Size && bytes.Equal(d.SHA256, m.SHA256[:]) && (d.Size < 0 || d.Size == m.Size)
}

// recognized returns a file with its name and type, and what it is. A description that is of
// another file is left out; one that was in clear names the file and decides nothing else.
func recognized(m store.Media, link media.FileURL, beginning []byte, d *record.Described) (store.Media, arrived) {
	if !fits(d, m) {
		d = &record.Described{}
	}
	m.Name = cmp.Or(d.Name, link.Name())
	a := arrived{nameClear: d.Clear && d.Name != ""}
	if d.Clear {
		d = &record.Described{}
	}
	a.Look = media.Recognize(cmp.Or(d.Name, link.Name()), beginning, m.Size, d.Sticker)
	if a.MIME == unknownType && d.MIME != "" {
		a.MIME, a.Kind = d.MIME, media.Received(d.MIME)
	}
	m.MIME = a.MIME
	return m, a
}

// unknownType is the media type of content that is not recognized.
const unknownType = "application/octet-stream"

// arrived is what a file turned out to be.
type arrived struct {
	media.Look
	nameClear bool // its name was not encrypted
}
