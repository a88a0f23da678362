package media

import (
	"encoding/binary"
	"math/bits"
)

// The standard library's GCM needs a whole message at once, and a file may be larger than a
// relay's memory. The streaming AEADs of the modules that were considered (tink-go, sio) have
// formats of their own. So GCM (NIST SP 800-38D) is built here from the standard library's
// AES in counter mode and this GHASH. It multiplies without tables or branches (T. Pornin's
// constant-time method in BearSSL, ghash_ctmul64).

const blockSize = 16

// ghash is the running sum of GHASH under one key.
type ghash struct {
	h0, h1, h2, h0r, h1r, h2r uint64
	y0, y1                    uint64
}

func newGHASH(h *[blockSize]byte) *ghash {
	g := &ghash{h1: binary.BigEndian.Uint64(h[:8]), h0: binary.BigEndian.Uint64(h[8:])}
	g.h0r, g.h1r = bits.Reverse64(g.h0), bits.Reverse64(g.h1)
	g.h2, g.h2r = g.h0^g.h1, g.h0r^g.h1r
	return g
}

// write adds whole blocks; a short last one is padded with zeros.
func (g *ghash) write(p []byte) {
	for ; len(p) >= blockSize; p = p[blockSize:] {
		g.block(binary.BigEndian.Uint64(p), binary.BigEndian.Uint64(p[8:]))
	}
	if len(p) > 0 {
		var last [blockSize]byte
		copy(last[:], p)
		g.block(binary.BigEndian.Uint64(last[:]), binary.BigEndian.Uint64(last[8:]))
	}
}

func (g *ghash) sum() (s [blockSize]byte) {
	binary.BigEndian.PutUint64(s[:], g.y1)
	binary.BigEndian.PutUint64(s[8:], g.y0)
	return s
}

// block adds one block and multiplies by H in GF(2^128).
func (g *ghash) block(hi, lo uint64) {
	y1, y0 := g.y1^hi, g.y0^lo
	y0r, y1r := bits.Reverse64(y0), bits.Reverse64(y1)
	z0, z1 := mul(y0, g.h0), mul(y1, g.h1)
	z2 := mul(y0^y1, g.h2) ^ z0 ^ z1
	z0h, z1h := mul(y0r, g.h0r), mul(y1r, g.h1r)
	z2h := mul(y0r^y1r, g.h2r) ^ z0h ^ z1h
	z0h, z1h, z2h = bits.Reverse64(z0h)>>1, bits.Reverse64(z1h)>>1, bits.Reverse64(z2h)>>1

	v0, v1, v2, v3 := z0, z0h^z2, z1^z2h, z1h
	v3 = v3<<1 | v2>>63
	v2 = v2<<1 | v1>>63
	v1 = v1<<1 | v0>>63
	v0 <<= 1
	v2 ^= v0 ^ v0>>1 ^ v0>>2 ^ v0>>7
	v1 ^= v0<<63 ^ v0<<62 ^ v0<<57
	v3 ^= v1 ^ v1>>1 ^ v1>>2 ^ v1>>7
	v2 ^= v1<<63 ^ v1<<62 ^ v1<<57
	g.y0, g.y1 = v2, v3
}

// mul is the low half of a carry-less product. Using only every fourth bit leaves holes that
// catch the carries of an ordinary multiplication.
func mul(x, y uint64) uint64 {
	const m0, m1, m2, m3 = 0x1111111111111111, 0x2222222222222222, 0x4444444444444444, 0x8888888888888888
	x0, x1, x2, x3 := x&m0, x&m1, x&m2, x&m3
	y0, y1, y2, y3 := y&m0, y&m1, y&m2, y&m3
	return (x0*y0^x1*y3^x2*y2^x3*y1)&m0 |
		(x0*y1^x1*y0^x2*y3^x3*y2)&m1 |
		(x0*y2^x1*y1^x2*y0^x3*y3)&m2 |
		(x0*y3^x1*y2^x2*y1^x3*y0)&m3
}
