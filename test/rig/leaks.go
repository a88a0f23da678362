package rig

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// Journal keeps what a relay logs.
type Journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (j *Journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

// Bytes returns what was logged so far.
func (j *Journal) Bytes() []byte {
	j.mu.Lock()
	defer j.mu.Unlock()
	return bytes.Clone(j.text.Bytes())
}

// Hide names secrets that only the business and its customers may have.
func (b *Business) Hide(secrets ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hidden = append(b.hidden, secrets...)
}

// Hidden returns what must not be found.
func (b *Business) Hidden() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.hidden)
}

// Leaks returns how many of the given secrets appear in data, raw, base64 or hex. It goes through the data once, however
// many secrets there are.
func Leaks(data []byte, secrets []string) (n int) {
	found := make([]bool, len(secrets))
	var may [1 << 16]bool // two bytes with which a form begins
	begin := map[[shortest]byte][]form{}
	for i, s := range secrets {
		for _, f := range forms(s) {
			if len(f) < shortest {
				found[i] = found[i] || bytes.Contains(data, f)
				continue
			}
			may[binary.LittleEndian.Uint16(f)] = true
			key := [shortest]byte(f)
			begin[key] = append(begin[key], form{f, i})
		}
	}
	for i := range max(0, len(data)-shortest+1) {
		rest := data[i:]
		if !may[binary.LittleEndian.Uint16(rest)] {
			continue
		}
		for _, f := range begin[[shortest]byte(rest)] {
			found[f.secret] = found[f.secret] || bytes.HasPrefix(rest, f.bytes)
		}
	}
	for _, is := range found {
		if is {
			n++
		}
	}
	return n
}

// shortest is of how many bytes a form of a secret is that Leaks finds by its beginning.
const shortest = 4

// form is how a secret may be written, with its place among the secrets.
type form struct {
	bytes  []byte
	secret int
}

// forms returns how a secret may be written.
func forms(s string) [][]byte {
	return [][]byte{
		[]byte(s), []byte(hex.EncodeToString([]byte(s))),
		[]byte(strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(s)), "=")),
		[]byte(strings.TrimRight(base64.URLEncoding.EncodeToString([]byte(s)), "=")),
	}
}

// NothingLeaked stops the relay and looks for numbers, texts and credentials in its log
// and volume, having shown that it finds them. It also wants every webhook to have been
// signed.
func (b *Business) NothingLeaked() {
	b.t.Helper()
	b.Stop()
	hidden := b.Hidden()
	for name, data := range map[string][]byte{"log": b.Log.Bytes(), "store": b.stored()} {
		if len(data) < 100 {
			b.t.Errorf("the %s is empty: nothing was looked at", name)
		}
		if n := Leaks(data, hidden); n > 0 {
			b.t.Errorf("the %s holds %d of %d secrets", name, n, len(hidden))
		}
		size := len(data)
		data = append(data, "Y2FuYXJ5IGlu 63616e61727920696e canary in"...)
		if Leaks(data[size:], []string{"canary in"}) != 1 || Leaks(data, append(hidden, "canary in")) != 1 {
			b.t.Errorf("the scanner does not find its canary in the %s", name)
		}
	}
	if n := b.Unsigned(); n > 0 {
		b.t.Errorf("%d webhooks had no valid signature or shape", n)
	}
}

// stored returns all bytes of the relay's volume, or of the server that its database is on.
func (b *Business) stored() []byte {
	b.t.Helper()
	var read bytes.Buffer
	check(b.t, filepath.WalkDir(cmp.Or(b.ServerDir, b.Volume()), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := os.Open(path)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = read.ReadFrom(f)
		return err
	}))
	return read.Bytes()
}
