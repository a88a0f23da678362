package media

import (
	"errors"
	"mime"
	"net/http"
	"path"
	"strings"
)

// Kind is what a file is in a conversation. The values are the Cloud API's message types.
type Kind string

// The kinds.
const (
	Image    Kind = "image"
	Video    Kind = "video"
	Audio    Kind = "audio"
	Document Kind = "document"
	Sticker  Kind = "sticker"
)

// Sizes that the Cloud API allows, in bytes ("Supported media types"). It allows 100 KB for a
// static sticker; the larger limit serves both kinds.
const (
	maxImage    = 5 << 20
	maxVideo    = 16 << 20
	maxAudio    = 16 << 20
	maxDocument = 100 << 20
	maxSticker  = 500 << 10
	// MaxSize is the size of the largest file of any kind.
	MaxSize = maxDocument
)

// Valid says whether there is such a kind.
func (k Kind) Valid() bool { return k.MaxSize() > 0 }

// MaxSize is the size of the largest file of a kind; 0 for an unknown kind.
func (k Kind) MaxSize() int64 {
	switch k {
	case Image:
		return maxImage
	case Video:
		return maxVideo
	case Audio:
		return maxAudio
	case Document:
		return maxDocument
	case Sticker:
		return maxSticker
	}
	return 0
}

// VCard is the media type of contacts (RFC 6350). A business sends them as a message of contacts, from which
// the relay makes the file.
const VCard = "text/vcard"

// format is one kind of file that a business may send.
type format struct {
	mime, extension string
	kind            Kind
}

// formats are the formats that the Cloud API allows.
func formats() []format {
	return []format{
		{"audio/aac", "aac", Audio},
		{"audio/amr", "amr", Audio},
		{"audio/mpeg", "mp3", Audio},
		{"audio/mp4", "m4a", Audio},
		{"audio/ogg", "ogg", Audio},
		{"image/jpeg", "jpg", Image},
		{"image/png", "png", Image},
		{"image/webp", "webp", Sticker},
		{"video/mp4", "mp4", Video},
		{"video/3gpp", "3gp", Video},
		{"text/plain", "txt", Document},
		{"application/pdf", "pdf", Document},
		{"application/msword", "doc", Document},
		{"application/vnd.ms-excel", "xls", Document},
		{"application/vnd.ms-powerpoint", "ppt", Document},
		{"application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx", Document},
		{"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx", Document},
		{"application/vnd.openxmlformats-officedocument.presentationml.presentation", "pptx", Document},
	}
}

// furtherType returns the type of a file that only customers' clients send, by extension.
func furtherType(extension string) string {
	switch extension {
	case "jpeg":
		return "image/jpeg"
	case "gif":
		return "image/gif"
	case "heic":
		return "image/heic"
	case "avif":
		return "image/avif"
	case "opus", "oga":
		return "audio/ogg"
	case "awb":
		return "audio/amr-wb"
	case "webm":
		return "video/webm"
	case "mov":
		return "video/quicktime"
	case "wav":
		return "audio/wav"
	case "vcf":
		return VCard
	}
	return ""
}

// maxType is how long a media type with its parameters may be, in bytes; RFC 6838 allows names of 255.
const maxType = 1024

// Type reads a media type as a client or a server wrote it, and returns it in lower case, without
// parameters, under the name that the Cloud API has for it; empty when it is not a media type. What
// is wrong with the parameters does not matter: many write codecs or file names without quotes.
func Type(header string) string {
	if len(header) > maxType {
		return ""
	}
	t, _, err := mime.ParseMediaType(header)
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) || !strings.Contains(t, "/") {
		return ""
	}
	if len(t) > maxType/4 {
		return ""
	}
	return usual(t)
}

// usual returns the Cloud API's name of a media type that others give another name.
func usual(mimeType string) string {
	switch mimeType {
	case "application/ogg", "audio/opus", "audio/vorbis", "audio/x-opus+ogg":
		return "audio/ogg"
	case "audio/m4a", "audio/x-m4a", "audio/mp4a-latm":
		return "audio/mp4"
	case "audio/mp3", "audio/x-mp3", "audio/mpeg3":
		return "audio/mpeg"
	case "audio/aacp", "audio/x-aac":
		return "audio/aac"
	case "image/jpg", "image/pjpeg":
		return "image/jpeg"
	case "image/x-png":
		return "image/png"
	case "video/3gp":
		return "video/3gpp"
	case "video/x-m4v":
		return "video/mp4"
	case "text/x-vcard", "text/directory":
		return VCard
	}
	return mimeType
}

// Types are the media types that a business may send.
func Types() []string {
	var types []string
	for _, f := range formats() {
		types = append(types, f.mime)
	}
	return types
}

// KindOf is the kind of file that a business may send with that media type, or "".
func KindOf(mimeType string) Kind {
	for _, f := range formats() {
		if f.mime == mimeType {
			return f.kind
		}
	}
	return ""
}

// Extension is the file extension, without dot, of a media type that the relay sends for a
// business, or "".
func Extension(mimeType string) string {
	for _, f := range formats() {
		if f.mime == mimeType {
			return f.extension
		}
	}
	if mimeType == VCard {
		return "vcf"
	}
	return ""
}

// Guess returns the media type of a customer's file, of which only the name and the beginning
// are known. Names of pictures are often wrong, so there the content decides.
func Guess(name string, beginning []byte) string {
	if t := pictureType(beginning); t != "" {
		return t
	}
	extension := strings.ToLower(strings.TrimPrefix(path.Ext(name), "."))
	for _, f := range formats() {
		if f.extension == extension {
			return f.mime
		}
	}
	if t := furtherType(extension); t != "" {
		return t
	}
	if opusChannels(beginning) > 0 {
		return "audio/ogg"
	}
	return Type(http.DetectContentType(beginning))
}

// Received is the kind under which the business gets a customer's file of that media type. The
// Cloud API's images are JPEG and PNG: its users need not know what else to do with a picture,
// so any other (GIF, WebP that is no sticker, HEIC) is a document.
func Received(mimeType string) Kind {
	major, _, _ := strings.Cut(mimeType, "/")
	switch {
	case KindOf(mimeType) == Image:
		return Image
	case major == "audio":
		return Audio
	case major == "video":
		return Video
	}
	return Document
}
