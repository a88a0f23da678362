package media_test

import (
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/media"
)

func TestKindsOfTypes(t *testing.T) {
	for mime, want := range map[string]media.Kind{
		"image/jpeg": media.Image, "image/webp": media.Sticker, "audio/ogg": media.Audio, "video/mp4": media.Video,
		"application/pdf": media.Document, "text/html": "", "image/svg+xml": "", "": "",
	} {
		if got := media.KindOf(mime); got != want {
			t.Errorf("%s is %q, want %q", mime, got, want)
		}
	}
	for _, k := range []media.Kind{media.Image, media.Video, media.Audio, media.Document, media.Sticker} {
		if !k.Valid() || k.MaxSize() > media.MaxSize {
			t.Errorf("%s may have %d bytes", k, k.MaxSize())
		}
	}
	if media.Kind("poem").Valid() {
		t.Error("a poem is a kind")
	}
}

func TestTypesAreReadWithoutParameters(t *testing.T) {
	for in, want := range map[string]string{
		"Audio/OGG; codecs=opus": "audio/ogg", "image/png": "image/png", "image": "", "": "", "a/b/c;": "",
		"a/" + strings.Repeat("b", 300): "", "image/png; name=" + strings.Repeat("b", 2000): "",
		"video/mp4;codecs=avc1,mp4a.40.2": "video/mp4", "application/pdf; name=Offer 2.pdf": "application/pdf", "image/jpeg; charset=": "image/jpeg",
		"image/jpeg; charset=utf-8; charset=utf-8": "image/jpeg", "; charset=utf-8": "", "audio/opus": "audio/ogg", "application/ogg": "audio/ogg", "image/jpg": "image/jpeg", "audio/x-m4a": "audio/mp4",
		"text/x-vcard": "text/vcard",
	} {
		if got := media.Type(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

func TestFileKind_OfACustomersFileIsGuessed(t *testing.T) {
	png := []byte("\x89PNG\r\n\x1a\n")
	for _, tt := range []struct {
		name      string
		beginning []byte
		want      string
		kind      media.Kind
	}{
		{"photo.JPG", nil, "image/jpeg", media.Image},
		{"voice.opus", nil, "audio/ogg", media.Audio},
		{"clip.webm", nil, "video/webm", media.Video},
		{"plan.docx", nil, "application/vnd.openxmlformats-officedocument.wordprocessingml.document", media.Document},
		{"unnamed", png, "image/png", media.Image},
		{"unnamed.jpg", png, "image/png", media.Image},
		{"photo.gif", nil, "image/gif", media.Document},
		{"Barbara.vcf", []byte("BEGIN:VCARD"), "text/vcard", media.Document},
		{"unnamed", []byte("OggS\x00\x02"), "audio/ogg", media.Audio},
		{"", []byte{0, 1, 2}, "application/octet-stream", media.Document},
		{"page.html", []byte("<html>"), "text/html", media.Document},
	} {
		got := media.Guess(tt.name, tt.beginning)
		if got != tt.want || media.Received(got) != tt.kind {
			t.Errorf("%s is %s, a %s", tt.name, got, media.Received(got))
		}
	}
}
