package media

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
)

// CBCIVSize is the size of the vector of a file in AES-256-CBC, in bytes.
const CBCIVSize = aes.BlockSize

// uncbc reads a file that is encrypted with AES-256-CBC and padded as in PKCS #7, as XEP-0448 has it. It
// proves nothing about the file: whoever uses one knows the content's hash.
type uncbc struct {
	src  io.Reader
	mode cipher.BlockMode
	buf  []byte // room for a segment and a block
	have int    // bytes of buf that were read and not decrypted yet
	out  []byte // what is ready
	err  error  // once everything is read
}

func (l FileURL) uncbc(src io.Reader) (io.Reader, error) {
	block, err := aes.NewCipher(l.Key[:])
	if err != nil {
		return nil, fmt.Errorf("media: preparing the cipher: %w", err)
	}
	if len(l.IV) != CBCIVSize {
		return nil, ErrNotAuthentic
	}
	return &uncbc{src: src, mode: cipher.NewCBCDecrypter(block, l.IV), buf: make([]byte, segment+aes.BlockSize)}, nil
}

// Read implements io.Reader.
func (c *uncbc) Read(p []byte) (int, error) {
	for len(c.out) == 0 {
		if c.err != nil {
			return 0, c.err
		}
		c.fill()
	}
	n := copy(p, c.out)
	c.out = c.out[n:]
	return n, nil
}

// fill decrypts the next segment. It holds the last block back until it is known whether more follows.
func (c *uncbc) fill() {
	n, err := io.ReadFull(c.src, c.buf[c.have:])
	c.have += n
	switch {
	case err == nil:
		c.work(segment)
	case !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF):
		c.err = err
	case c.have == 0 || c.have%aes.BlockSize != 0:
		c.err = ErrNotAuthentic
	default:
		c.work(c.have)
		c.err = io.EOF
		padding := int(c.out[len(c.out)-1])
		if padding < 1 || padding > aes.BlockSize {
			c.out, c.err = nil, ErrNotAuthentic
			return
		}
		c.out = c.out[:len(c.out)-padding]
	}
}

// work decrypts the first n bytes and moves the rest to the front.
func (c *uncbc) work(n int) {
	c.out = make([]byte, n)
	c.mode.CryptBlocks(c.out, c.buf[:n])
	c.have = copy(c.buf, c.buf[n:c.have])
}
