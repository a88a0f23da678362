// Package sharing reads the elements in which a message describes files (XEP-0446, XEP-0447) and says where
// they are and how they are encrypted (XEP-0448). They stand in a stanza or inside an envelope of OMEMO2. It
// must not know how files are fetched.
package sharing

import (
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/relaykeep/relaykeep/relay/carrier"
	"github.com/relaykeep/relaykeep/relay/carrier/about"
	"github.com/relaykeep/relaykeep/relay/media"
)

// Namespaces.
const (
	nsSharing   = "urn:xmpp:sfs:0"           // XEP-0447
	nsEncrypted = "urn:xmpp:esfs:0"          // XEP-0448
	nsFile      = "urn:xmpp:file:metadata:0" // XEP-0446
	nsHashes    = "urn:xmpp:hashes:2"        // XEP-0300
	nsURL       = "http://jabber.org/protocol/url-data"
	nsSticker   = "urn:xmpp:stickers:0" // XEP-0449
	nsClient    = "jabber:client"
	nsOOB       = "jabber:x:oob"                 // XEP-0066
	nsAttaching = "urn:xmpp:message-attaching:1" // XEP-0367

	cipherGCM = "urn:xmpp:ciphers:aes-256-gcm-nopadding:0"
	cipherCBC = "urn:xmpp:ciphers:aes-256-cbc-pkcs7:0"
)

// maxField is how long one value may be, in bytes.
const maxField = 4096

// Shared is what a message says about files.
type Shared struct {
	Files []carrier.SharedFile
	// Repeats says that the body only names a file once more that this message, or one before it, shares:
	// for clients that know no other way.
	Repeats bool
}

// Sources says whether a message says where a file is that can be decrypted.
func (s Shared) Sources() bool {
	for _, f := range s.Files {
		if f.Link != "" {
			return true
		}
	}
	return false
}

// Read reads the children of a message or of an envelope's content.
func Read(e about.Element) (s Shared) {
	sticker, attached, body := false, false, ""
	for c := range e.Elements() {
		switch {
		case c.Is(nsSharing, "file-sharing") && len(s.Files) < media.MaxFiles:
			s.Files = append(s.Files, fileOf(c))
		case c.Is(nsSticker, "sticker"):
			sticker = true
		case c.Is(nsAttaching, "attach-to"):
			attached = true
		case c.Is(about.NSFallback, "fallback") && c.Attr("for") == nsSharing:
			s.Repeats = s.Repeats || about.Whole(c)
		case c.Is(nsClient, "body") && body == "":
			body = c.Words()
		}
	}
	for i := range s.Files {
		s.Files[i].Sticker = sticker
	}
	// Some clients mark the repetition with the file's address beside it (XEP-0066).
	if oob := words(about.Child(about.Child(e, nsOOB, "x"), nsOOB, "url")); oob != "" && oob == strings.TrimSpace(body) {
		s.Repeats = true
	}
	s.Repeats = s.Repeats && (s.Sources() || attached && len(s.Files) == 0)
	return s
}

// fileOf reads what is said of one file. What it cannot read is not known.
func fileOf(e about.Element) carrier.SharedFile {
	f := carrier.SharedFile{Size: -1}
	if said := about.Child(e, nsFile, "file"); said != nil {
		f.Name = media.CleanName(words(about.Child(said, nsFile, "name")))
		f.MIME = media.Type(words(about.Child(said, nsFile, "media-type")))
		if n, err := strconv.ParseInt(words(about.Child(said, nsFile, "size")), 10, 64); err == nil && n >= 0 {
			f.Size = n
		}
		f.SHA256 = hashOf(said)
	}
	if sources := about.Child(e, nsSharing, "sources"); sources != nil {
		for c := range sources.Elements() {
			if c.Is(nsEncrypted, "encrypted") && f.Link == "" {
				f.Link = linkOf(c)
			}
		}
	}
	return f
}

// hashOf returns the SHA-256 of a file's content, nil when it is not said.
func hashOf(said about.Element) []byte {
	for c := range said.Elements() {
		if !c.Is(nsHashes, "hash") || c.Attr("algo") != "sha-256" {
			continue
		}
		if sum := decoded(c); len(sum) == sha256.Size {
			return sum
		}
	}
	return nil
}

// linkOf returns where an encrypted file is, with its key; "" when that is not usable. A cipher that does not
// authenticate the file is usable if the file's hash is known: that is its reader's to check.
func linkOf(e about.Element) string {
	var l media.FileURL
	iv := media.IVSize
	switch e.Attr("cipher") {
	case cipherGCM:
	case cipherCBC:
		l.CBC, iv = true, media.CBCIVSize
	default:
		return ""
	}
	key := decoded(about.Child(e, nsEncrypted, "key"))
	l.IV = decoded(about.Child(e, nsEncrypted, "iv"))
	sources := about.Child(e, nsSharing, "sources")
	if len(key) != media.KeySize || len(l.IV) != iv || sources == nil {
		return ""
	}
	copy(l.Key[:], key)
	for c := range sources.Elements() {
		if !c.Is(nsURL, "url-data") || !strings.HasPrefix(c.Attr("target"), "https://") || strings.Contains(c.Attr("target"), "#") {
			continue
		}
		l.URL = c.Attr("target")
		if read, err := media.ParseSource(l.Text()); err == nil { // as strict as with what a text holds
			return read.Text()
		}
	}
	return ""
}

// words returns an element's text, "" when there is none or it is too long.
func words(e about.Element) string {
	if e == nil || len(e.Words()) > maxField {
		return ""
	}
	return strings.TrimSpace(e.Words())
}

// decoded returns the bytes that an element's text is the base64 of, nil for none.
func decoded(e about.Element) []byte {
	b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(words(e)), ""))
	if err != nil {
		return nil
	}
	return b
}
