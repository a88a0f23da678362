// Package scan looks for secrets in raw bytes: as they are, in base64 at each of
// the three alignments and in either alphabet, in hex, and text in UTF-16 of either
// byte order. It must not know what the bytes are; it never puts a secret into what
// it returns.
//
// It cannot see through compression or encryption: its caller says with a planted
// canary that the places looked at hold neither.
package scan

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// minSecret is the shortest secret, in bytes, that is looked for: what base64
// keeps of a shorter one when its neighbours are unknown is found by chance.
const minSecret = 8

// window is how much of a file is read at once.
const window = 1 << 20

// Secret is something that must not be found, and the name it is reported by.
type Secret struct {
	Name  string
	Bytes string
}

// Finding is a place where a secret stands.
type Finding struct {
	Path     string
	Offset   int64  // of the encoded secret's first whole character
	Secret   string // its name
	Encoding string
}

// String says where and what, without the secret.
func (f Finding) String() string {
	return fmt.Sprintf("%s at byte %d: %s, %s", f.Path, f.Offset, f.Secret, f.Encoding)
}

// Result is what a scan saw.
type Result struct {
	Files    int
	Bytes    int64
	Findings []Finding
}

// Scanner looks for a fixed set of secrets.
type Scanner struct {
	patterns []pattern
	longest  int
}

type pattern struct {
	secret   string
	encoding string
	bytes    []byte
}

// New makes a scanner. A secret shorter than eight bytes is refused.
func New(secrets ...Secret) (*Scanner, error) {
	s := &Scanner{}
	for _, secret := range secrets {
		if len(secret.Bytes) < minSecret {
			return nil, fmt.Errorf("secret %q has %d bytes: %d are the fewest that can be told from chance", secret.Name, len(secret.Bytes), minSecret)
		}
		for _, p := range encodings(secret) {
			s.patterns = append(s.patterns, p)
			s.longest = max(s.longest, len(p.bytes))
		}
	}
	if len(s.patterns) == 0 {
		return nil, errors.New("a scanner needs at least one secret")
	}
	return s, nil
}

func encodings(s Secret) []pattern {
	plain := []byte(s.Bytes)
	lower := hex.EncodeToString(plain)
	patterns := []pattern{
		{s.Name, "raw", plain},
		{s.Name, "hex", []byte(lower)},
	}
	if upper := strings.ToUpper(lower); upper != lower {
		patterns = append(patterns, pattern{s.Name, "upper-case hex", []byte(upper)})
	}
	if utf8.Valid(plain) {
		units := utf16.Encode([]rune(s.Bytes))
		patterns = append(patterns,
			pattern{s.Name, "UTF-16, little end first", wide(binary.LittleEndian, units)},
			pattern{s.Name, "UTF-16, big end first", wide(binary.BigEndian, units)})
	}
	for before := range 3 {
		standard := core(base64.RawStdEncoding, plain, before)
		patterns = append(patterns, pattern{s.Name, fmt.Sprintf("base64 after %d bytes", before), standard})
		if url := core(base64.RawURLEncoding, plain, before); !bytes.Equal(url, standard) {
			patterns = append(patterns, pattern{s.Name, fmt.Sprintf("base64url after %d bytes", before), url})
		}
	}
	return patterns
}

func wide(order binary.AppendByteOrder, units []uint16) []byte {
	out := make([]byte, 0, 2*len(units))
	for _, u := range units {
		out = order.AppendUint16(out, u)
	}
	return out
}

// core returns the characters of the encoding that depend on the secret alone when
// it stands behind before (0 to 2) other bytes and before any others.
func core(e *base64.Encoding, secret []byte, before int) []byte {
	padded := append(make([]byte, before), secret...)
	// The first character wholly within the secret, and the end of the last one.
	first := (before*8 + 5) / 6
	last := len(padded) * 8 / 6
	return []byte(e.EncodeToString(padded))[first:last]
}

// Reader scans r, whose name is path, to its end.
func (s *Scanner) Reader(path string, r io.Reader) (Result, error) {
	result := Result{Files: 1}
	keep := s.longest - 1 // a secret may begin in one window and end in the next
	buffer := make([]byte, 0, keep+window)
	var start int64 // offset of buffer[0]
	for {
		n, err := io.ReadFull(r, buffer[len(buffer):cap(buffer)])
		fresh := len(buffer)
		buffer = buffer[:len(buffer)+n]
		result.Bytes += int64(n)
		result.Findings = append(result.Findings, s.find(path, buffer, fresh, start)...)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return result, nil
		}
		if err != nil {
			return result, fmt.Errorf("scanning %s: %w", path, err)
		}
		drop := max(0, len(buffer)-keep)
		copy(buffer, buffer[drop:])
		buffer = buffer[:len(buffer)-drop]
		start += int64(drop)
	}
}

// find returns what ends in data after the first fresh bytes, which were searched
// before; start is the offset of data.
func (s *Scanner) find(path string, data []byte, fresh int, start int64) []Finding {
	var found []Finding
	for _, p := range s.patterns {
		at := max(0, fresh-len(p.bytes)+1)
		for {
			i := bytes.Index(data[at:], p.bytes)
			if i < 0 {
				break
			}
			found = append(found, Finding{Path: path, Offset: start + int64(at+i), Secret: p.secret, Encoding: p.encoding})
			at += i + 1
		}
	}
	return found
}

// Tree scans every regular file under the roots, which may be files themselves. A
// root that is not there is an error: looking nowhere finds nothing. Files that
// vanish while it looks are passed over.
func (s *Scanner) Tree(roots ...string) (Result, error) {
	var all Result
	for _, root := range roots {
		if _, err := os.Stat(root); err != nil {
			return all, fmt.Errorf("scanning: %w", err)
		}
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			return s.file(path, &all)
		})
		if err != nil {
			return all, fmt.Errorf("scanning %s: %w", root, err)
		}
	}
	slices.SortFunc(all.Findings, func(a, b Finding) int { return strings.Compare(a.Path, b.Path) })
	return all, nil
}

func (s *Scanner) file(path string, all *Result) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	one, err := s.Reader(path, f)
	if err != nil {
		return err
	}
	all.Files++
	all.Bytes += one.Bytes
	all.Findings = append(all.Findings, one.Findings...)
	return nil
}
