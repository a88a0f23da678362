package media

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"io"
	"testing"
)

// A hashed IV may begin the counter anywhere: only its low 32 bits count on.
func TestCounter_WrapsLikeGCMs(t *testing.T) {
	l, plain := NewFileURL(), make([]byte, 1<<20)
	l.IV = make([]byte, oldIVSize)
	for n := uint64(0); ; n++ { // one in about 2^16 wraps within the file
		binary.BigEndian.PutUint64(l.IV, n)
		g, err := newGCM(&l.Key, l.IV)
		if err != nil {
			t.Fatal(err)
		}
		if binary.BigEndian.Uint32(g.counter[12:]) > 1<<32-1<<15 {
			break
		}
	}
	block, err := aes.NewCipher(l.Key[:])
	if err != nil {
		t.Fatal(err)
	}
	library, err := cipher.NewGCMWithNonceSize(block, len(l.IV))
	if err != nil {
		t.Fatal(err)
	}
	r, err := l.Encrypt(bytes.NewReader(plain))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, library.Seal(nil, l.IV, plain, nil)) {
		t.Errorf("a file over which the counter wraps is encrypted otherwise: %v", err)
	}
}
