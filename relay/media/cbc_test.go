package media_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/relaykeep/relaykeep/relay/media"
)

// inCBC encrypts with the standard library.
func inCBC(t testing.TB, l media.FileURL, plain []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(l.Key[:])
	check(t, err)
	n := aes.BlockSize - len(plain)%aes.BlockSize
	out := append(append([]byte{}, plain...), bytes.Repeat([]byte{byte(n)}, n)...)
	cipher.NewCBCEncrypter(block, l.IV).CryptBlocks(out, out)
	return out
}

func cbcURL() media.FileURL {
	l := media.NewFileURL()
	l.URL, l.IV, l.CBC = "https://up.test/1/x", random(media.CBCIVSize), true
	return l
}

func TestCBC_FilesAreReadInPieces(t *testing.T) {
	l := cbcURL()
	for _, size := range sizes {
		plain := random(size)
		for name, reader := range map[string]func(io.Reader) io.Reader{"whole": func(r io.Reader) io.Reader { return r }, "half": iotest.HalfReader} {
			if got, err := decrypt(t, l, reader(bytes.NewReader(inCBC(t, l, plain)))); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%d bytes, %s: %d came back, %v", size, name, len(got), err)
			}
		}
	}
}

func TestCBC_DamagedFilesAreNotComplete(t *testing.T) {
	l := cbcURL()
	sealed := inCBC(t, l, random(100))
	padding := bytes.Clone(sealed)
	for padding[len(padding)-17] = 0; ; padding[len(padding)-17]++ { // it decides about the padding
		if _, err := decrypt(t, l, bytes.NewReader(padding)); err != nil {
			break
		}
	}
	for name, file := range map[string][]byte{"nothing": nil, "a part of a block": sealed[:len(sealed)-1], "padding": padding} {
		if _, err := decrypt(t, l, bytes.NewReader(file)); !errors.Is(err, media.ErrNotAuthentic) {
			t.Errorf("%s: %v", name, err)
		}
	}
	broken := errors.New("broken")
	if _, err := decrypt(t, l, io.MultiReader(bytes.NewReader(sealed[:64]), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("a broken transfer is %v", err)
	}
}

func TestCBC_IsNoURLInAText(t *testing.T) {
	l := cbcURL()
	if _, err := media.ParseFileURL(l.Text()); !errors.Is(err, media.ErrNoFileURL) {
		t.Errorf("a text with one is read: %v", err)
	}
	if parts := media.Split(l.Text()); len(parts) != 1 || parts[0].URL != "" {
		t.Errorf("it is split into %+v", parts)
	}
	got, err := media.ParseSource(l.Text())
	if err != nil || !got.CBC || got.URL != l.URL || got.Key != l.Key || !bytes.Equal(got.IV, l.IV) {
		t.Errorf("it is read as %+v, %v", got, err)
	}
	l.IV = l.IV[:media.IVSize]
	if _, err := media.ParseSource(l.Text()); !errors.Is(err, media.ErrNoFileURL) {
		t.Errorf("a short vector is read: %v", err)
	}
}
