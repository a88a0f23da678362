package media_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/relaykeep/relaykeep/relay/media"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// library is the same encryption by the standard library.
func library(t testing.TB, l media.FileURL) cipher.AEAD {
	t.Helper()
	block, err := aes.NewCipher(l.Key[:])
	check(t, err)
	g, err := cipher.NewGCMWithNonceSize(block, len(l.IV))
	check(t, err)
	return g
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

func encrypt(t testing.TB, l media.FileURL, src io.Reader) []byte {
	t.Helper()
	r, err := l.Encrypt(src)
	check(t, err)
	out, err := io.ReadAll(r)
	check(t, err)
	return out
}

func decrypt(t testing.TB, l media.FileURL, src io.Reader) ([]byte, error) {
	t.Helper()
	r, err := l.Decrypt(src)
	check(t, err)
	return io.ReadAll(r)
}

// sizes lie around everything that has a border.
var sizes = []int{0, 1, 15, 16, 17, 32<<10 - 16, 32<<10 - 1, 32 << 10, 32<<10 + 1, 32<<10 + 16, 64 << 10, 100_003, 1 << 20}

func TestEncryptionIsGCM(t *testing.T) {
	for _, size := range sizes {
		for _, iv := range [][]byte{random(media.IVSize), random(16), bytes.Repeat([]byte{0xff}, 16)} {
			l := media.NewFileURL()
			l.IV = iv
			plain := random(size)
			want := library(t, l).Seal(nil, l.IV, plain, nil)
			if got := encrypt(t, l, iotest.HalfReader(bytes.NewReader(plain))); !bytes.Equal(got, want) {
				t.Fatalf("%d bytes under an IV of %d are not encrypted as GCM is", size, len(iv))
			}
			got, err := decrypt(t, l, iotest.HalfReader(bytes.NewReader(want)))
			if err != nil || !bytes.Equal(got, plain) {
				t.Fatalf("%d bytes under an IV of %d do not open: %v", size, len(iv), err)
			}
		}
	}
}

func TestFile_ChangedIsNotAuthentic(t *testing.T) {
	l := media.NewFileURL()
	sealed := encrypt(t, l, bytes.NewReader(random(40_000)))
	flipped := func(i int) []byte {
		b := bytes.Clone(sealed)
		b[i] ^= 1
		return b
	}
	other := l
	other.Key[0] ^= 1
	for name, tt := range map[string]struct {
		link media.FileURL
		file []byte
	}{
		"first byte":  {l, flipped(0)},
		"last byte":   {l, flipped(len(sealed) - TagSize - 1)},
		"tag":         {l, flipped(len(sealed) - 1)},
		"cut":         {l, sealed[:len(sealed)-1]},
		"cut to less": {l, sealed[:TagSize-1]},
		"longer":      {l, append(bytes.Clone(sealed), 0)},
		"empty":       {l, nil},
		"other key":   {other, sealed},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := decrypt(t, tt.link, bytes.NewReader(tt.file)); !errors.Is(err, media.ErrNotAuthentic) {
				t.Errorf("error %v", err)
			}
		})
	}
}

const TagSize = media.TagSize

func TestFile_SourceErrorIsReturned(t *testing.T) {
	broken := errors.New("broken")
	src := io.MultiReader(bytes.NewReader(random(100_000)), iotest.ErrReader(broken))
	if _, err := decrypt(t, media.NewFileURL(), src); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

func FuzzGCM(f *testing.F) {
	f.Add([]byte("key"), []byte("twelve bytes"), []byte("a file"))
	f.Add([]byte{}, bytes.Repeat([]byte{0xff}, 16), bytes.Repeat([]byte{1}, 100))
	f.Fuzz(func(t *testing.T, key, iv, plain []byte) {
		if len(iv) != media.IVSize && len(iv) != 16 {
			return
		}
		l := media.FileURL{IV: iv}
		copy(l.Key[:], key)
		want := library(t, l).Seal(nil, iv, plain, nil)
		if got := encrypt(t, l, bytes.NewReader(plain)); !bytes.Equal(got, want) {
			t.Error("not GCM")
		}
		if got, err := decrypt(t, l, bytes.NewReader(want)); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("does not open: %v", err)
		}
	})
}

func BenchmarkEncrypt(b *testing.B) {
	l, plain := media.NewFileURL(), random(1<<20)
	b.SetBytes(int64(len(plain)))
	for b.Loop() {
		r, err := l.Encrypt(bytes.NewReader(plain))
		check(b, err)
		_, err = io.Copy(io.Discard, r)
		check(b, err)
	}
}
