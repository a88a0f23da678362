package media

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// TagSize is how many bytes an encrypted file is longer than the file.
const TagSize = 16

// ErrNotAuthentic means that an encrypted file is not the one that its FileURL names: it was
// changed, cut short, or encrypted with another key.
var ErrNotAuthentic = errors.New("media: the file is not authentic")

// gcm is AES-256-GCM over one file, without additional data.
type gcm struct {
	block   cipher.Block
	counter [blockSize]byte // of the stream's next segment
	stream  cipher.Stream
	left    uint64 // blocks until the counter's low 32 bits wrap
	hash    *ghash
	mask    [blockSize]byte // encrypts the tag
	length  uint64          // bytes of ciphertext
}

func newGCM(key *[KeySize]byte, iv []byte) (*gcm, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, fmt.Errorf("media: preparing the cipher: %w", err)
	}
	g := &gcm{block: block}
	var h [blockSize]byte
	block.Encrypt(h[:], h[:])
	g.hash = newGHASH(&h)
	if len(iv) == IVSize {
		copy(g.counter[:], iv)
		g.counter[blockSize-1] = 1
	} else { // SP 800-38D, 7.1: any other length is hashed
		d := newGHASH(&h)
		d.write(iv)
		d.block(0, uint64(len(iv))*8)
		g.counter = d.sum()
	}
	block.Encrypt(g.mask[:], g.counter[:])
	g.count(1)
	return g, nil
}

// count advances the counter: only its low 32 bits, which wrap (SP 800-38D, 6.2).
func (g *gcm) count(blocks uint64) {
	low := binary.BigEndian.Uint32(g.counter[blockSize-4:]) + uint32(blocks)
	binary.BigEndian.PutUint32(g.counter[blockSize-4:], low)
	g.left = 1<<32 - uint64(low)
	g.stream = cipher.NewCTR(g.block, g.counter[:])
}

// xor encrypts or decrypts p in place. Every call but the last must pass whole blocks.
func (g *gcm) xor(p []byte) {
	for len(p) > 0 {
		n := min(uint64(len(p)), g.left*blockSize)
		g.stream.XORKeyStream(p[:n], p[:n])
		p = p[n:]
		g.left -= (n + blockSize - 1) / blockSize
		if g.left == 0 {
			clear(g.counter[blockSize-4:])
			g.count(0)
		}
	}
}

// add hashes ciphertext.
func (g *gcm) add(p []byte) {
	g.hash.write(p)
	g.length += uint64(len(p))
}

func (g *gcm) tag() []byte {
	g.hash.block(0, g.length*8)
	s := g.hash.sum()
	subtle.XORBytes(s[:], s[:], g.mask[:])
	return s[:]
}

// segment is how much is encrypted at once: whole blocks.
const segment = 32 << 10

// segments reads a file a segment at a time through a cipher, and holds back what may be its end.
type segments struct {
	src  io.Reader
	fill func()
	buf  []byte // room for a segment, and what may be the end behind it
	have int    // bytes of buf that were read and not processed yet
	out  []byte // what is ready
	err  error  // once everything is read
}

// Read implements io.Reader.
func (s *segments) Read(p []byte) (int, error) {
	for len(s.out) == 0 {
		if s.err != nil {
			return 0, s.err
		}
		s.fill()
	}
	n := copy(p, s.out)
	s.out = s.out[n:]
	return n, nil
}

// crypter reads one file through GCM.
type crypter struct {
	segments
	gcm  *gcm
	open bool // decrypts
}

// Encrypt returns the encrypted form of what src reads, with the tag at its end.
func (l FileURL) Encrypt(src io.Reader) (io.Reader, error) { return l.crypter(src, false) }

// Decrypt returns the content of the encrypted file that src reads. Reading ends with io.EOF
// when the file is authentic and with ErrNotAuthentic when it is not: a reader must not use
// any of it before the end. In CBC the end says only that the file is complete.
func (l FileURL) Decrypt(src io.Reader) (io.Reader, error) {
	if l.CBC {
		return l.uncbc(src)
	}
	return l.crypter(src, true)
}

func (l FileURL) crypter(src io.Reader, open bool) (io.Reader, error) {
	g, err := newGCM(&l.Key, l.IV)
	if err != nil {
		return nil, err
	}
	c := &crypter{segments: segments{src: src, buf: make([]byte, segment+TagSize)}, gcm: g, open: open}
	c.fill = c.process
	return c, nil
}

// process processes the next segment. When decrypting, it holds back what might be the tag until
// it is known whether more follows.
func (c *crypter) process() {
	n, err := io.ReadFull(c.src, c.buf[c.have:])
	c.have += n
	switch {
	case err == nil:
		c.work(segment)
		return
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		c.err = io.EOF
	default:
		c.err = err
		return
	}
	if !c.open {
		c.work(c.have)
		c.out = append(c.out, c.gcm.tag()...)
		return
	}
	if c.have < TagSize {
		c.err = ErrNotAuthentic
		return
	}
	size := c.have - TagSize
	tag := append([]byte(nil), c.buf[size:c.have]...)
	c.work(size)
	if subtle.ConstantTimeCompare(tag, c.gcm.tag()) != 1 {
		c.out, c.err = nil, ErrNotAuthentic
	}
}

// work encrypts or decrypts the first n bytes and moves the rest to the front.
func (c *crypter) work(n int) {
	out := make([]byte, n, n+TagSize)
	copy(out, c.buf[:n])
	if c.open {
		c.gcm.add(out)
		c.gcm.xor(out)
	} else {
		c.gcm.xor(out)
		c.gcm.add(out)
	}
	c.out = out
	c.have = copy(c.buf, c.buf[n:c.have])
}
