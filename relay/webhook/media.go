package webhook

import "encoding/base64"

// Codes of errors about files.
const (
	CodeMediaDownload = 131052
	CodeMediaUpload   = 131053
)

// Media is a customer's file, which the business downloads under its ID.
type Media struct {
	Kind   string // image, video, audio, document or sticker
	ID     string
	MIME   string
	SHA256 [32]byte
	Name   string // only used for documents
	// Caption is what was written with an image, a video or a document; may be empty.
	Caption string
	// Voice says that an audio file was recorded in the customer's client.
	Voice bool `json:",omitempty"`
	// NameClear says that the name was not encrypted.
	NameClear bool `json:",omitempty"`
	// Animated says that a sticker moves.
	Animated bool `json:",omitempty"`
}

// MediaDownload is the error of a file that could not be downloaded.
func MediaDownload(details string) Error {
	return Error{Code: CodeMediaDownload, Title: "Media download error", Details: details}
}

// MediaUpload is the error of a file that could not be uploaded to the carrier.
func MediaUpload(details string) Error {
	return Error{Code: CodeMediaUpload, Title: "Media upload error", Details: details}
}

// file is the wire form of a file. A message has one, under the name of its kind.
type file struct {
	Caption  string `json:"caption,omitempty"`
	Filename string `json:"filename,omitempty"`
	MIME     string `json:"mime_type"`
	SHA256   string `json:"sha256"` // base64
	ID       string `json:"id"`
	Voice    *bool  `json:"voice,omitempty"`
	Animated *bool  `json:"animated,omitempty"`
}

// shown is a file with the id by which the business gets it.
func (a Account) shown(m Media) Media {
	if a.MarkFiles {
		m.ID = a.PhoneNumberID + "/" + m.ID
	}
	return m
}

// file puts a file into the message's field for its kind.
func (w *message) file(m Media) {
	f := &file{MIME: m.MIME, SHA256: base64.StdEncoding.EncodeToString(m.SHA256[:]), ID: m.ID}
	w.Type, w.Text = m.Kind, nil
	if m.Kind != "audio" && m.Kind != "sticker" {
		f.Caption = m.Caption
	}
	switch m.Kind {
	case "image":
		w.Image = f
	case "video":
		w.Video = f
	case "audio":
		f.Voice = &m.Voice
		w.Audio = f
	case "sticker":
		f.Animated = &m.Animated
		w.Sticker = f
	default:
		w.Type, f.Filename = "document", m.Name
		w.Document = f
	}
}
