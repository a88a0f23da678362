package media_test

import (
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/test/fuzz/mutation"
)

// opus is the beginning of a file of Opus in Ogg with so many channels (RFC 7845, 5.1).
func opus(channels byte) string {
	return "OggS\x00\x02" + strings.Repeat("\x00", 20) + "\x01\x13OpusHead\x01" + string([]byte{channels}) + "\x38\x01\x80\xbb\x00\x00\x00\x00\x00"
}

const (
	mpeg4 = "\x00\x00\x00\x18ftypM4A \x00\x00\x00\x00"
	amrWB = "#!AMR-WB\n"
	movie = "GIF89a\x10\x00\x10\x00"

	lossy     = "RIFF\x24\x00\x00\x00WEBPVP8 \x18\x00\x00\x00\x30\x01\x00\x9d\x01\x2a\x00\x02\x00\x02"
	lossyPart = "RIFF\x24\x00\x00\x00WEBPVP8 \x18\x00\x00\x00\x30\x01\x00\x9d\x01\x2a\x00\x02\x80\x01" // 512 by 384
	photo     = "RIFF\x24\x00\x00\x00WEBPVP8 \x18\x00\x00\x00\x30\x01\x00\x9d\x01\x2a\x00\x05\xd0\x02" // 1280 by 720
	lossless  = "RIFF\x24\x00\x00\x00WEBPVP8L\x18\x00\x00\x00\x2f\xff\xc1\x7f\x00\x00\x00\x00\x00\x00"
	moving    = "RIFF\x24\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x12\x00\x00\x00\xff\x01\x00\xff\x01\x00"
	still     = "RIFF\x24\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x10\x00\x00\x00\xff\x01\x00\xff\x01\x00"
)

// TestLook_FilesOfEachClientAreWhatTheyAre has the names that the clients' own recorders give.
func TestLook_FilesOfEachClientAreWhatTheyAre(t *testing.T) {
	voice := func(mime string) media.Look { return media.Look{MIME: mime, Kind: media.Audio, Voice: true} }
	sound := func(mime string) media.Look { return media.Look{MIME: mime, Kind: media.Audio} }
	sticker := func(animated bool) media.Look {
		return media.Look{MIME: "image/webp", Kind: media.Sticker, Animated: animated}
	}
	document := func(mime string) media.Look { return media.Look{MIME: mime, Kind: media.Document} }
	for name, tt := range map[string]struct {
		file, beginning string
		size            int64
		want            media.Look
	}{
		"Conversations, AAC":          {"RECORDING_20260102_030405678.m4a", mpeg4, 9000, voice("audio/mp4")},
		"Conversations before 2.10":   {"RECORDING_20260102_030405.m4a", mpeg4, 9000, voice("audio/mp4")},
		"Conversations, Opus":         {"RECORDING_20260102_030405678.oga", opus(1), 9000, voice("audio/ogg")},
		"Cheogram, AMR-WB":            {"RECORDING_20260102_030405678.awb", amrWB, 9000, voice("audio/amr-wb")},
		"Gajim 2":                     {"voice-message-20260102-030405.m4a", mpeg4, 9000, voice("audio/mp4")},
		"Kaidan":                      {"20260102_030405.m4a", mpeg4, 9000, voice("audio/mp4")},
		"Monal":                       {"8C5A1F62-6B0E-4E43-9C0B-0D5B8E9F4A11.m4a", mpeg4, 9000, voice("audio/mp4")},
		"Opus with one channel":       {"e6c1.ogg", opus(1), 9000, voice("audio/ogg")},
		"Opus without a name":         {"", opus(1), 9000, voice("audio/ogg")},
		"Opus in stereo":              {"song.ogg", opus(2), 9000, sound("audio/ogg")},
		"another client's UUID":       {"8c5a1f62-6b0e-4e43-9c0b-0d5b8e9f4a11.m4a", mpeg4, 9000, sound("audio/mp4")},
		"a song":                      {"RECORDING.mp3", "ID3\x03", 9000, sound("audio/mpeg")},
		"a recording that is no such": {"RECORDING_20260102_030405678.m4a", "MZ\x90", 9000, sound("audio/mp4")},
		"a longer name":               {"my RECORDING_20260102_030405678.m4a", mpeg4, 9000, sound("audio/mp4")},

		"a sticker":                   {"a.webp", lossy, 9000, sticker(false)},
		"a narrow sticker":            {"a.webp", lossyPart, 9000, sticker(false)},
		"a lossless sticker":          {"a.webp", lossless, 9000, sticker(false)},
		"a sticker with alpha":        {"a.webp", still, 9000, sticker(false)},
		"a moving sticker":            {"a.webp", moving, 500 << 10, sticker(true)},
		"a sticker without a name":    {"", lossy, 9000, sticker(false)},
		"a sticker that is too large": {"a.webp", moving, 500<<10 + 1, document("image/webp")},
		"a photo in WebP":             {"a.webp", photo, 9000, document("image/webp")},
		"a cut WebP":                  {"a.webp", lossy[:29], 9000, document("image/webp")},
		"no WebP":                     {"a.webp", "MZ\x90", 9000, document("image/webp")},

		"a moving picture":                 {"a.gif", movie, 9000, document("image/gif")},
		"a moving picture of another name": {"a.jpg", movie, 9000, document("image/gif")},
		"a photo of another name":          {"a.webp", "\xff\xd8\xff\xe0", 9000, media.Look{MIME: "image/jpeg", Kind: media.Image}},
		"a photo of a phone":               {"a.heic", "\x00\x00\x00\x18ftypheic", 9000, document("image/heic")},
		"a video":                          {"a.mp4", "\x00\x00\x00\x18ftypisom", 9000, media.Look{MIME: "video/mp4", Kind: media.Video}},
		"nothing":                          {"", "", 0, document("text/plain")},
	} {
		if got := media.Recognize(tt.file, []byte(tt.beginning), tt.size, false); got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}

func FuzzRecognize(tf *testing.F) {
	f := mutation.Of(tf)
	for _, s := range []string{opus(1), mpeg4, amrWB, movie, lossy, lossless, moving, photo} {
		f.Add("RECORDING_20260102_030405678.m4a", []byte(s))
		f.Add("a.webp", []byte(s))
	}
	f.Fuzz(func(t *testing.T, name string, b []byte) {
		l := media.Recognize(name, b, int64(len(b)), len(b)%2 == 0)
		if !l.Kind.Valid() || l.MIME == "" || l.Voice && l.Kind != media.Audio || l.Animated && l.Kind != media.Sticker {
			t.Errorf("%q is %+v", name, l)
		}
		if l.Kind == media.Sticker && l.MIME != "image/webp" {
			t.Errorf("a sticker is %s", l.MIME)
		}
	})
}
