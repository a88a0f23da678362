package media

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net/url"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Sizes of what an aesgcm link holds.
const (
	KeySize = 32
	IVSize  = 12
	// oldIVSize is what clients sent before 2019; it is accepted, never sent.
	oldIVSize = 16
	// maxLink is the longest link that is read, in bytes.
	maxLink = 4096
	// MaxName is the longest file name, in bytes.
	MaxName = 240
)

// ErrNoLink means that a text is no aesgcm link.
var ErrNoLink = errors.New("media: the text is no aesgcm link")

const scheme = "aesgcm://"

// Link names an encrypted file and holds its key (XEP-0454). It is as secret as the
// file.
type Link struct {
	URL string // where the encrypted file is: https, without fragment
	Key [KeySize]byte
	IV  []byte
}

// NewLink returns a link to a file that is not uploaded yet, with a fresh key.
func NewLink() Link {
	l := Link{IV: make([]byte, IVSize)}
	_, _ = rand.Read(l.Key[:]) // never fails
	_, _ = rand.Read(l.IV)
	return l
}

// Part is a part of a message: a file, what was written below one, or both.
type Part struct {
	Link string // that ParseLink reads; empty for none
	Text string
}

// maxParts is how many files of one message are told apart. Further links are text.
const maxParts = 32

// thumbnail begins a line below a link that is a small picture of the file (XEP-0454).
const thumbnail = "data:"

// Split takes a text apart into the files that its lines name and the texts around them,
// in their order: a text below a link goes with it. A thumbnail is left out. A text
// without a link is one part.
func Split(text string) []Part {
	var parts []Part
	var current Part
	var lines []string
	end := func() {
		current.Text = strings.TrimSpace(strings.Join(lines, "\n"))
		if current != (Part{}) {
			parts = append(parts, current)
		}
	}
	files, below := 0, false // below: the line before is a link
	for line := range strings.SplitSeq(text, "\n") {
		if _, err := ParseLink(line); err == nil && files < maxParts {
			end()
			current, lines, below = Part{Link: strings.TrimSpace(line)}, nil, true
			files++
			continue
		}
		if !below || !strings.HasPrefix(strings.TrimSpace(line), thumbnail) {
			lines = append(lines, line)
		}
		below = false
	}
	if files == 0 {
		return []Part{{Text: text}}
	}
	end()
	return parts
}

// ParseLink reads a text that is nothing but an aesgcm link. Any other text is ErrNoLink.
func ParseLink(text string) (Link, error) {
	text = strings.TrimSpace(text)
	if len(text) > maxLink || len(text) < len(scheme) || !strings.EqualFold(text[:len(scheme)], scheme) {
		return Link{}, ErrNoLink
	}
	address, fragment, ok := strings.Cut(text[len(scheme):], "#")
	if !ok {
		return Link{}, ErrNoLink
	}
	secret, err := hex.DecodeString(fragment)
	if err != nil || len(secret) != IVSize+KeySize && len(secret) != oldIVSize+KeySize {
		return Link{}, ErrNoLink
	}
	u, err := url.Parse("https://" + address)
	if err != nil || u.Hostname() == "" || u.User != nil || strings.ContainsFunc(address, space) {
		return Link{}, ErrNoLink
	}
	n := len(secret) - KeySize
	l := Link{URL: u.String(), IV: secret[:n:n]}
	copy(l.Key[:], secret[n:])
	return l, nil
}

func space(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }

// Text is the message that a client understands as this file.
func (l Link) Text() string {
	return scheme + strings.TrimPrefix(l.URL, "https://") + "#" + hex.EncodeToString(l.IV) + hex.EncodeToString(l.Key[:])
}

// Name is the file's name as the link has it; empty when it has none.
func (l Link) Name() string {
	u, err := url.Parse(l.URL)
	if err != nil {
		return ""
	}
	return CleanName(path.Base(u.Path))
}

// UploadName is a fresh name for a file at a carrier: it says no more than what kind
// of file it is. The extension is one without dot, or empty.
func UploadName(extension string) string {
	name := strings.ToLower(rand.Text())
	if extension != "" {
		name += "." + extension
	}
	return name
}

// CleanName makes a name that somebody chose fit for a file: no path, nothing that
// does not show, at most MaxName bytes. The result may be empty.
func CleanName(name string) string {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	name = strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, name))
	if strings.Trim(name, ".") == "" {
		return ""
	}
	for len(name) > MaxName {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	return name
}
