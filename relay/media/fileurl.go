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

// Sizes of the parts of a FileURL.
const (
	KeySize = 32
	IVSize  = 12
	// oldIVSize is what clients sent before 2019; it is accepted, never sent.
	oldIVSize = 16
	// maxFileURL is the longest URL that is read, in bytes.
	maxFileURL = 4096
	// MaxName is the longest file name, in bytes.
	MaxName = 240
)

// ErrNoFileURL means that a text is not an aesgcm URL.
var ErrNoFileURL = errors.New("media: the text is not an aesgcm URL")

const (
	scheme = "aesgcm://"
	// cbcScheme is our own: it keeps the sources of XEP-0448 that are in CBC.
	cbcScheme = "aescbc://"
)

// FileURL is an aesgcm URL (XEP-0454): it names an encrypted file and holds its key. It is as
// secret as the file.
type FileURL struct {
	URL string // where the encrypted file is: https, without fragment
	Key [KeySize]byte
	IV  []byte
	// CBC says that the file is encrypted with AES-256-CBC, which does not authenticate it (XEP-0448):
	// it must only be used if its content has a known hash. No text of a person's has such a URL.
	CBC bool
}

// NewFileURL returns one for a file that is not uploaded yet, with a new key.
func NewFileURL() FileURL {
	l := FileURL{IV: make([]byte, IVSize)}
	_, _ = rand.Read(l.Key[:]) // never fails
	_, _ = rand.Read(l.IV)
	return l
}

// Part is a part of a message: a file, the text below one, or both.
type Part struct {
	URL  string // as ParseFileURL reads it; empty for none
	Text string
}

// MaxFiles is how many files of one message are recognized. Further URLs are text.
const MaxFiles = 32

// thumbnail begins a line below a file's URL that holds a small picture of it (XEP-0454).
const thumbnail = "data:"

// Split splits a text into the files that its lines name and the texts around them, in order.
// A text below a file's URL belongs to that file. Thumbnails are left out. A text without
// such a URL is one part.
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
	files, below := 0, false // below: the line before is a file's URL
	for line := range strings.SplitSeq(text, "\n") {
		if _, err := ParseFileURL(line); err == nil && files < MaxFiles {
			end()
			current, lines, below = Part{URL: strings.TrimSpace(line)}, nil, true
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

// ParseFileURL reads a text that is an aesgcm URL and nothing else. For any other text it
// returns ErrNoFileURL.
func ParseFileURL(text string) (FileURL, error) { return parseFileURL(text, scheme) }

// ParseSource is ParseFileURL for what FileURL.Text wrote, also in CBC.
func ParseSource(text string) (FileURL, error) {
	if !strings.HasPrefix(text, cbcScheme) {
		return ParseFileURL(text)
	}
	l, err := parseFileURL(text, cbcScheme)
	if err == nil && len(l.IV) != CBCIVSize {
		return FileURL{}, ErrNoFileURL
	}
	l.CBC = err == nil
	return l, err
}

func parseFileURL(text, scheme string) (FileURL, error) {
	text = strings.TrimSpace(text)
	if len(text) > maxFileURL || len(text) < len(scheme) || !strings.EqualFold(text[:len(scheme)], scheme) {
		return FileURL{}, ErrNoFileURL
	}
	address, fragment, ok := strings.Cut(text[len(scheme):], "#")
	if !ok {
		return FileURL{}, ErrNoFileURL
	}
	secret, err := hex.DecodeString(fragment)
	if err != nil || len(secret) != IVSize+KeySize && len(secret) != oldIVSize+KeySize {
		return FileURL{}, ErrNoFileURL
	}
	u, err := url.Parse("https://" + address)
	if err != nil || u.Hostname() == "" || u.User != nil || strings.ContainsFunc(address, space) {
		return FileURL{}, ErrNoFileURL
	}
	n := len(secret) - KeySize
	l := FileURL{URL: u.String(), IV: secret[:n:n]}
	copy(l.Key[:], secret[n:])
	return l, nil
}

func space(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }

// Text is the URL as it is sent: a client shows a message with this text as the file.
func (l FileURL) Text() string {
	begin := scheme
	if l.CBC {
		begin = cbcScheme
	}
	return begin + strings.TrimPrefix(l.URL, "https://") + "#" + hex.EncodeToString(l.IV) + hex.EncodeToString(l.Key[:])
}

// Name is the file's name in the URL; empty when that has none.
func (l FileURL) Name() string {
	u, err := url.Parse(l.URL)
	if err != nil {
		return ""
	}
	return CleanName(path.Base(u.Path))
}

// UploadName returns a new name for a file at a carrier. It says no more than what kind of
// file it is. The extension has no dot, or is empty.
func UploadName(extension string) string {
	name := strings.ToLower(rand.Text())
	if extension != "" {
		name += "." + extension
	}
	return name
}

// CleanName makes a name that somebody chose safe as a file name: no path, no invisible
// characters, at most MaxName bytes. The result may be empty.
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
