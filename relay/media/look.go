package media

import (
	"bytes"
	"net/http"
	"path"
	"regexp"
)

// Sniffed is how many bytes of a file's beginning are enough to recognize it.
const Sniffed = 512

// Look is what a customer's file is, as far as its name and its beginning tell. Both are the
// customer's: a Look says how to show a file, and vouches for nothing.
type Look struct {
	MIME string
	Kind Kind
	// Voice says that a client recorded it.
	Voice bool
	// Animated says that a sticker moves.
	Animated bool
}

// Recognize returns what a customer's file of that name and size is. Sticker says that its sender calls it
// one.
func Recognize(name string, beginning []byte, size int64, sticker bool) Look {
	beginning = beginning[:min(len(beginning), Sniffed)]
	l := Look{MIME: Guess(name, beginning)}
	l.Kind = Received(l.MIME)
	switch {
	case l.Kind == Audio:
		l.Voice = isVoice(name, beginning)
	case l.MIME == webp && size <= maxSticker:
		if p, ok := readWebP(beginning); ok && (sticker || p.sticker()) {
			l.Kind, l.Animated = Sticker, p.animated
		}
	}
	return l
}

// isVoice says whether an audio file was recorded in a client. Clients do not say so. It shows in the
// format (Ogg with Opus and one channel: recorders write it, music has two) or in the name that the
// client's recorder gives, if the content is in a container that recorders write.
func isVoice(name string, beginning []byte) bool {
	return opusChannels(beginning) == 1 || recorded(beginning) && recorderNames().MatchString(path.Base(name))
}

// recorderNames matches the names of recordings:
//   - Conversations and its descendants: RECORDING_20260102_030405678.m4a, .oga or .awb
//   - Gajim: voice-message-20260102-030405.m4a
//   - Kaidan: 20260102_030405.m4a
//   - Monal: a UUID in capital letters, .m4a, or .aac in old versions
func recorderNames() *regexp.Regexp {
	return regexp.MustCompile(`^(RECORDING_\d{8}_\d{6,9}\.(m4a|oga|ogg|opus|awb|3gp)` +
		`|\d{8}_\d{6}\.m4a` +
		`|voice-message-\d{8}-\d{6}\.(m4a|ogg)` +
		`|[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}\.(m4a|aac))$`)
}

// recorded says whether a file is in a container that recorders write: Ogg, MPEG-4 (3GPP is one),
// AMR or a bare AAC stream.
func recorded(beginning []byte) bool {
	return bytes.HasPrefix(beginning, []byte(ogg)) ||
		len(beginning) > 8 && string(beginning[4:8]) == "ftyp" ||
		bytes.HasPrefix(beginning, []byte("#!AMR")) ||
		len(beginning) > 1 && beginning[0] == 0xff && beginning[1]&0xf6 == 0xf0
}

const (
	ogg      = "OggS"
	opusHead = "OpusHead"
	// oggHeader is the length of a page's header without its list of segments (RFC 3533, 6).
	oggHeader = 27
)

// opusChannels returns how many channels a file of Opus in Ogg has (RFC 7845, 5.1); 0 for any other.
func opusChannels(beginning []byte) int {
	if !bytes.HasPrefix(beginning, []byte(ogg)) || len(beginning) < oggHeader {
		return 0
	}
	page := beginning[oggHeader:]
	segments := int(beginning[oggHeader-1])
	if len(page) < segments {
		return 0
	}
	head := page[segments:]
	const channels = len(opusHead) + 1 // behind the version
	if !bytes.HasPrefix(head, []byte(opusHead)) || len(head) <= channels {
		return 0
	}
	return int(head[channels])
}

// pictureType returns the type of a picture that begins so, if it is of a usual type; else "".
func pictureType(beginning []byte) string {
	t := http.DetectContentType(beginning)
	switch t {
	case "image/jpeg", "image/png", "image/gif", webp:
		return t
	}
	return ""
}
