package media

import (
	"bytes"
	"encoding/binary"
)

const webp = "image/webp"

// stickerSide is the longer side of a sticker, in pixels: stickers are made for 512 by 512, and
// those that other messengers brought up may be narrower.
const stickerSide = 512

// webpPicture is what the header of a WebP file says.
type webpPicture struct {
	width, height int // pixels
	animated      bool
}

func (p webpPicture) sticker() bool { return max(p.width, p.height) == stickerSide }

// readWebP reads a WebP file's header (RFC 9649, 2): a RIFF container whose first chunk says how large
// the picture is.
func readWebP(beginning []byte) (p webpPicture, ok bool) {
	const chunk, content, enough = 12, 20, 30
	if len(beginning) < enough || !bytes.HasPrefix(beginning, []byte("RIFF")) || string(beginning[8:chunk]) != "WEBP" {
		return p, false
	}
	body := beginning[content:]
	switch string(beginning[chunk : chunk+4]) {
	case "VP8 ": // 3 bytes about the frame, a start code, 14 bits for each side
		if !bytes.Equal(body[3:6], []byte{0x9d, 0x01, 0x2a}) {
			return p, false
		}
		p.width = int(binary.LittleEndian.Uint16(body[6:]) & 0x3fff)
		p.height = int(binary.LittleEndian.Uint16(body[8:]) & 0x3fff)
	case "VP8L": // a signature, 14 bits for each side less one
		if body[0] != 0x2f {
			return p, false
		}
		sides := binary.LittleEndian.Uint32(body[1:])
		p.width, p.height = int(sides&0x3fff)+1, int(sides>>14&0x3fff)+1
	case "VP8X": // flags, 24 reserved bits, 24 bits for each side less one
		const animation = 1 << 1
		p.animated = body[0]&animation != 0
		p.width, p.height = uint24(body[4:])+1, uint24(body[7:])+1
	default:
		return p, false
	}
	return p, true
}

func uint24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }
