package media_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/relaykeep/relaykeep/relay/media"
	"github.com/relaykeep/relaykeep/test/fuzz/mutation"
)

// noise is a picture that cannot be compressed.
func noise(width, height int) image.Image {
	img, random := image.NewRGBA(image.Rect(0, 0, width, height)), rand.New(rand.NewPCG(1, 2))
	for i := range img.Pix {
		img.Pix[i] = byte(random.Uint32())
	}
	return img
}

func asJPEG(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	check(t, jpeg.Encode(&b, img, &jpeg.Options{Quality: 50}))
	return b.Bytes()
}

func asPNG(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	check(t, png.Encode(&b, img))
	return b.Bytes()
}

func read(data []byte) (media.Picture, error) {
	return media.ReadPicture(base64.StdEncoding.EncodeToString(data))
}

func TestPicture_IsPublishedWithoutWhatElseTheFileHolds(t *testing.T) {
	plain := asJPEG(t, noise(60, 40))
	const place = "52.5200 N, 13.4050 E"
	withPlace := append([]byte("\xff\xd8\xff\xe1\x00\x1cExif\x00\x00"+place), plain[2:]...)
	for name, tt := range map[string]struct {
		data []byte
		kind string
	}{
		"JPEG":            {plain, "image/jpeg"},
		"JPEG with Exif":  {withPlace, "image/jpeg"},
		"PNG":             {asPNG(t, noise(60, 40)), "image/png"},
		"PNG and a place": {append(asPNG(t, noise(60, 40)), place...), "image/png"},
	} {
		p, err := read(tt.data)
		if err != nil || p.Type != tt.kind || p.Width != 60 || p.Height != 40 || bytes.Contains(p.Data, []byte(place)) {
			t.Errorf("%s: %s, %d by %d: %v", name, p.Type, p.Width, p.Height, err)
			continue
		}
		if size, kind, err := image.DecodeConfig(bytes.NewReader(p.Data)); err != nil || size.Width != 60 || "image/"+kind != tt.kind {
			t.Errorf("%s: what is published is %s, %+v, %v", name, kind, size, err)
		}
		if again, err := read(tt.data); err != nil || !bytes.Equal(again.Data, p.Data) {
			t.Errorf("%s: it would be published each time: %v", name, err)
		}
	}
	if p, err := media.ReadPicture(""); err != nil || p.Data != nil {
		t.Errorf("no picture is %+v, %v", p, err)
	}
}

func TestPicture_ThatCannotBeUsedIsRefused(t *testing.T) {
	var animation bytes.Buffer
	check(t, gif.Encode(&animation, noise(8, 8), nil))
	for name, text := range map[string]string{
		"no base64":       "!",
		"no picture":      base64.StdEncoding.EncodeToString([]byte("hello")),
		"a GIF":           base64.StdEncoding.EncodeToString(animation.Bytes()),
		"too wide":        base64.StdEncoding.EncodeToString(asJPEG(t, image.NewGray(image.Rect(0, 0, 641, 1)))),
		"too high":        base64.StdEncoding.EncodeToString(asPNG(t, image.NewGray(image.Rect(0, 0, 1, 641)))),
		"too many bytes":  base64.StdEncoding.EncodeToString(asPNG(t, noise(200, 200))),
		"a cut file":      base64.StdEncoding.EncodeToString(asPNG(t, noise(60, 40))[:500]),
		"only the header": base64.StdEncoding.EncodeToString(asPNG(t, noise(60, 40))[:33]),
	} {
		if p, err := media.ReadPicture(text); !errors.Is(err, media.ErrPicture) || p.Data != nil {
			t.Errorf("%s: %v, %d bytes", name, err, len(p.Data))
		}
	}
	if _, err := read(asJPEG(t, noise(180, 180))); err != nil {
		t.Errorf("a photo in the best quality that fits: %v", err)
	}
}

func FuzzReadPicture(tf *testing.F) {
	f := mutation.Of(tf)
	f.Add(asJPEG(tf, noise(16, 16)))
	f.Add(asPNG(tf, noise(16, 16)))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := read(data)
		if err == nil && (len(p.Data) > media.MaxPictureSize || max(p.Width, p.Height) > media.MaxPictureSide || strings.TrimPrefix(p.Type, "image/") == p.Type) {
			t.Errorf("%d by %d, %d bytes", p.Width, p.Height, len(p.Data))
		}
		if err != nil && (!errors.Is(err, media.ErrPicture) || p.Data != nil) {
			t.Errorf("%v with %d bytes", err, len(p.Data))
		}
	})
}
