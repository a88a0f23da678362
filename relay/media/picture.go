package media

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
)

// Limits of a Picture.
const (
	// MaxPictureSide is the longest side of a picture, in pixels.
	MaxPictureSide = 640
	// MaxPictureSize is how large a picture is at most when it is published, in bytes.
	MaxPictureSize = 64 << 10

	mimeJPEG = "image/jpeg"
	mimePNG  = "image/png"
)

// ErrPicture means that a picture is not one that is published. An error that wraps it says why.
var ErrPicture = errors.New("the picture cannot be used")

// Picture is a business's picture as it is published. The zero value is none.
type Picture struct {
	Type          string // image/jpeg or image/png
	Width, Height int    // pixels
	Data          []byte
}

// ReadPicture reads a JPEG or PNG file in base64 and writes it again, so that nothing is published
// that the file holds apart from the picture: no place, no device, no other file behind it. A text
// that is empty is the zero Picture. Errors wrap ErrPicture.
func ReadPicture(text string) (Picture, error) {
	if text == "" {
		return Picture{}, nil
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return Picture{}, fmt.Errorf("%w: it is not base64", ErrPicture)
	}
	size, kind, err := image.DecodeConfig(bytes.NewReader(data))
	switch {
	case err != nil, kind != "jpeg" && kind != "png":
		return Picture{}, fmt.Errorf("%w: it is neither JPEG nor PNG", ErrPicture)
	case max(size.Width, size.Height) > MaxPictureSide || min(size.Width, size.Height) < 1:
		return Picture{}, fmt.Errorf("%w: it has %d by %d pixels, and may have %d by %[4]d", ErrPicture, size.Width, size.Height, MaxPictureSide)
	}
	seen, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return Picture{}, fmt.Errorf("%w: it is damaged", ErrPicture)
	}
	p := Picture{Type: mimeJPEG, Width: size.Width, Height: size.Height}
	if kind == "png" {
		p.Type = mimePNG
	}
	if p.Data, err = write(seen, p.Type); err != nil {
		return Picture{}, err
	}
	return p, nil
}

// write encodes a picture, in the best quality that fits.
func write(seen image.Image, kind string) ([]byte, error) {
	var b bytes.Buffer
	for _, quality := range []int{92, 80, 60} {
		b.Reset()
		var err error
		if kind == mimePNG {
			err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, seen)
		} else {
			err = jpeg.Encode(&b, seen, &jpeg.Options{Quality: quality})
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrPicture, err)
		}
		if b.Len() <= MaxPictureSize {
			return b.Bytes(), nil
		}
		if kind == mimePNG {
			break
		}
	}
	return nil, fmt.Errorf("%w: it would have more than %d bytes", ErrPicture, MaxPictureSize)
}
