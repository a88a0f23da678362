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

// uncbc reads a file that is encrypted with AES-256-CBC and padded as in PKCS #7, as XEP-0448 has it. It does
// not authenticate the file: use it only where the content's hash is known.
type uncbc struct {
	segments
	mode cipher.BlockMode
}

func (l FileURL) uncbc(src io.Reader) (io.Reader, error) {
	block, err := aes.NewCipher(l.Key[:])
	if err != nil {
		return nil, fmt.Errorf("media: preparing the cipher: %w", err)
	}
	if len(l.IV) != CBCIVSize {
		return nil, ErrNotAuthentic
	}
	c := &uncbc{segments: segments{src: src, buf: make([]byte, segment+aes.BlockSize)}, mode: cipher.NewCBCDecrypter(block, l.IV)}
	c.fill = c.decrypt
	return c, nil
}

// decrypt decrypts the next segment. It holds the last block back until it is known whether more follows.
func (c *uncbc) decrypt() {
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
